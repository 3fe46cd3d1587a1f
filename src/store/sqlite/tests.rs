use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::{Code, Error};
use crate::store::conformance::{self, NOW, bytes, done, put, put_until};
use crate::testing::Folder;

impl Folder {
    fn open(&self) -> Sqlite {
        Sqlite::open(&self.file()).unwrap()
    }
}

fn fresh() -> Option<conformance::Place> {
    let folder = Folder::new();
    Some(Box::new(move || Box::new(folder.open())))
}

conformance::suite!(fresh);

fn refused(folder: &Folder) -> Error {
    Sqlite::open(&folder.file()).err().expect("an error")
}

fn reason(error: &Error) -> &str {
    assert_eq!(error.code(), Code::IoError, "{error}");
    error.fields().details.as_ref().unwrap()["reason"].as_str().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_its_owner_may_read_it() {
    let folder = Folder::new();
    let mut store = folder.open();
    done(&mut store, &[put("key", "value")]);
    for name in ["file", "file-wal", "file-shm"] {
        assert_eq!(mode(&folder.path(name)), 0o600, "{name}");
    }
}

#[test]
fn closed_it_is_one_file() {
    let folder = Folder::new();
    done(&mut folder.open(), &[put("key", "value")]);
    let names: Vec<_> =
        fs::read_dir(folder.here()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
    assert_eq!(bytes(&mut folder.open(), "key"), Some(b"value".to_vec()));
}

#[test]
fn a_folder_that_is_missing_is_not_made() {
    let folder = Folder::new();
    let error = Sqlite::open(&folder.path("missing/file")).err().unwrap();
    assert_eq!(reason(&error), "cannot_open");
    assert!(error.message().ends_with("its folder does not exist"), "{error}");
    assert!(!folder.path("missing").exists());
}

#[test]
fn what_is_no_store_is_left_as_it_is() {
    let folder = Folder::new();
    let other = rusqlite::Connection::open(folder.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE records (a); INSERT INTO records VALUES (1)").unwrap();
    drop(other);
    let database = fs::read(folder.path("other.db")).unwrap();
    for foreign in [b"{}".to_vec(), vec![b'x'; 10_000], database] {
        fs::write(folder.file(), &foreign).unwrap();
        let error = refused(&folder);
        assert_eq!(reason(&error), "foreign");
        assert!(error.message().contains("left as it is"), "{error}");
        assert!(fs::read(folder.file()).unwrap() == foreign);
    }
    fs::remove_file(folder.file()).unwrap();
    fs::create_dir(folder.file()).unwrap();
    assert_eq!(reason(&refused(&folder)), "foreign");
}

#[test]
fn an_empty_file_is_a_store_cut_off() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    let error = refused(&folder);
    assert_eq!(reason(&error), "corrupt");
    assert!(error.message().contains("if nothing was in it, remove it"), "{error}");
    fs::remove_file(folder.file()).unwrap();
    done(&mut folder.open(), &[put("key", "value")]);
}

#[test]
fn a_newer_format_is_not_touched() {
    let folder = Folder::new();
    drop(folder.open());
    let newer = rusqlite::Connection::open(folder.file()).unwrap();
    newer.pragma_update(None, "user_version", sql::FORMAT + 1).unwrap();
    drop(newer);
    let error = refused(&folder);
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("newer version"), "{error}");
}

/// By a hand that knows SQL, and not what goes with it.
fn tamper(folder: &Folder, sql: &str) -> Error {
    let store = &mut folder.open();
    done(store, &[put("a", "1"), put("b", "2"), put_until("c", NOW + 5)]);
    rusqlite::Connection::open(folder.file()).unwrap().execute_batch(sql).unwrap();
    refused(folder)
}

#[test]
fn a_record_that_came_went_or_changed_without_a_commit_is_found_out() {
    for change in [
        "UPDATE records SET bytes = x'39' WHERE key = x'61'",
        "UPDATE records SET expires_at = expires_at + 1 WHERE key = x'63'",
        "UPDATE records SET key = x'64' WHERE key = x'61'",
        "UPDATE records SET space = 2 WHERE key = x'61'",
        "UPDATE records SET bytes = CAST(bytes AS TEXT) WHERE key = x'61'",
        "DELETE FROM records WHERE key = x'61'",
        "INSERT INTO records VALUES (1, x'00', 9, NULL, 0, x'')",
        "UPDATE state SET versions = versions - 1",
        "DELETE FROM state",
        "DROP INDEX mortals",
        "CREATE TABLE more (a)",
        "PRAGMA user_version = 0",
    ] {
        let error = tamper(&Folder::new(), change);
        assert_eq!(reason(&error), "corrupt", "{change}");
        assert!(error.message().contains("the file was left as it is"), "{error}");
    }
}

#[test]
fn a_record_that_changes_while_a_store_is_open_is_found_out_when_it_is_read() {
    let folder = Folder::new();
    let store = &mut folder.open();
    done(store, &[put("a", "1"), put("b", "2")]);
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("UPDATE records SET bytes = x'39' WHERE key = x'61'").unwrap();
    assert_eq!(reason(&store.get(Space::Memory, b"a", NOW).unwrap_err()), "corrupt");
    let all = Range { space: Space::Memory, prefix: Vec::new(), after: None, limit: 9 };
    assert_eq!(reason(&store.scan(&all, NOW).unwrap_err()), "corrupt");
    assert_eq!(bytes(store, "b"), Some(b"2".to_vec()));
}

#[test]
fn expired_records_make_room_for_others() {
    let folder = Folder::new();
    let store = &mut folder.open();
    let mortals: Vec<Write> = (0..100).map(|n| put_until(format!("{n}"), NOW + n)).collect();
    done(store, &mortals);
    let rows = || -> i64 {
        let other = rusqlite::Connection::open(folder.file()).unwrap();
        other.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap()
    };
    let later = NOW + 50;
    for _ in 0..4 {
        store.commit(&[put("new", "")], Durability::Batched, later).unwrap();
    }
    assert_eq!(rows(), 49 + 1, "those that have not expired, and the new one");
    assert_eq!(bytes(&mut folder.open(), "51"), Some(b"mortal".to_vec()));
}

#[test]
fn a_file_that_is_removed_is_made_anew() {
    let folder = Folder::new();
    let store = &mut folder.open();
    done(store, &[put("key", "value")]);
    fs::remove_file(folder.file()).unwrap();
    assert_eq!(bytes(store, "key"), None);
    done(store, &[put("key", "new")]);
    assert_eq!(bytes(&mut folder.open(), "key"), Some(b"new".to_vec()));
}

#[test]
fn the_log_of_a_store_that_was_removed_is_not_taken_over() {
    let folder = Folder::new();
    let killed = folder.open();
    done(&mut folder.open(), &[put("key", "old")]);
    fs::remove_file(folder.file()).unwrap();
    assert!(folder.path("file-wal").exists());
    assert_eq!(bytes(&mut folder.open(), "key"), None);
    drop(killed);
}

#[test]
fn a_store_may_have_any_name() {
    for name in ["file:x?mode=memory", ":memory:", "ä b'\"%20#?.db", "-wal"] {
        let folder = Folder::new();
        let path = folder.path(name);
        done(&mut Sqlite::open(&path).unwrap(), &[put("key", "value")]);
        assert!(path.is_file(), "{name}");
        assert_eq!(bytes(&mut Sqlite::open(&path).unwrap(), "key"), Some(b"value".to_vec()));
    }
}
