//! A damaged store gives the right data or an error: never other data, never fewer.

#[path = "common/stores.rs"]
mod stores;

use std::fs;
use std::path::Path;

use stores::*;
use zigllms::error::Error;
use zigllms::store::sqlite::Sqlite;
use zigllms::store::{Change, Durability, Space, Store, Write};

/// Of some 32 KB: several spaces, expiry, a value over several pages, pages that are free.
fn sample(path: &Path) {
    let mut store = open(path);
    let mut writes = Vec::new();
    for n in 0..60_u8 {
        let space = Space::ALL[usize::from(n % 3)];
        let bytes = vec![n; usize::from(n) * 2];
        let expires_at = (n % 4 == 0).then_some(NOW + 1 + i64::from(n));
        writes.push(Write {
            space,
            change: Change::Put { bytes, expires_at },
            ..put(format!("key-{n:02}"), "")
        });
    }
    writes.push(put("big", (0..5000).map(|n| (n * 7) as u8).collect::<Vec<_>>()));
    done(&mut store, &writes, Durability::Sync);
    done(&mut store, &[put("gone", vec![1; 5000]), put("short", vec![2; 500])], Durability::Sync);
    let gone = Write { change: Change::Delete, ..put("gone", "") };
    done(&mut store, &[gone, put("short", "")], Durability::Sync);
}

struct Sweep {
    folder: Folder,
    image: Vec<u8>,
    contents: Contents,
    refused: u32,
    read: u32,
}

impl Sweep {
    fn new() -> Sweep {
        let folder = Folder::fast("damage");
        sample(&folder.file());
        let contents = contents(&mut open(&folder.file())).unwrap();
        let image = fs::read(folder.file()).unwrap();
        assert_eq!(folder.names(), ["store.db"], "closed, it is one file");
        assert!((28_000..40_000).contains(&image.len()), "{}", image.len());
        Sweep { folder, image, contents, refused: 0, read: 0 }
    }

    /// What is found when the file has these bytes.
    fn try_out(&mut self, bytes: &[u8], what: &dyn Fn() -> String) {
        let path = self.folder.file();
        for name in self.folder.names() {
            fs::remove_file(self.folder.0.join(name)).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        match self.use_it() {
            Ok(()) => self.read += 1,
            Err(error) => {
                let reason = reason(&error);
                let fit = ["corrupt", "foreign", "unsupported"].contains(&reason.as_str());
                assert!(fit, "{}: {error}", what());
                self.refused += 1;
                if Sqlite::open(&path).is_err() {
                    assert!(fs::read(&path).unwrap() == bytes, "{}: the file was changed", what());
                }
            }
        }
    }

    /// Reads all and writes to it, if it can be opened.
    fn use_it(&self) -> Result<(), Error> {
        let mut store = Sqlite::open(&self.folder.file())?;
        assert_eq!(contents(&mut store)?, self.contents);
        assert_eq!(asked(&mut store, &self.contents)?, self.contents);
        store.commit(&[put("new", vec![3; 12_000])], Durability::Batched, NOW)?;
        let delete = Write { change: Change::Delete, ..put("new", "") };
        store.commit(&[delete], Durability::Batched, NOW)?;
        drop(store);
        assert_eq!(contents(&mut Sqlite::open(&self.folder.file())?)?, self.contents);
        Ok(())
    }
}

#[test]
fn every_flipped_byte_is_harmless_or_found() {
    let mut sweep = Sweep::new();
    let step = if full() { 1 } else { 37 };
    for at in (0..sweep.image.len()).step_by(step) {
        for mask in [0x01, 0x80, 0xff] {
            let mut bytes = sweep.image.clone();
            bytes[at] ^= mask;
            sweep.try_out(&bytes, &|| format!("byte {at} ^ {mask:#x}"));
        }
    }
    println!("{} refused, {} read as they were", sweep.refused, sweep.read);
    assert!(sweep.refused > sweep.read / 4, "a good part of the file is data");
}

#[test]
fn a_store_cut_off_anywhere_is_found_out() {
    let mut sweep = Sweep::new();
    let step = if full() { 1 } else { 101 };
    let image = sweep.image.clone();
    for length in (0..image.len()).step_by(step) {
        sweep.try_out(&image[..length], &|| format!("cut off at {length}"));
    }
    println!("{} refused, {} read as they were", sweep.refused, sweep.read);
    let last_page = 4096_usize.div_ceil(step);
    assert!(sweep.read as usize <= last_page, "only a last page that is free can be missed");
}

#[test]
fn a_page_of_zeros_or_of_another_is_found_out() {
    let mut sweep = Sweep::new();
    let image = sweep.image.clone();
    let pages = image.len() / 4096;
    for page in 0..pages {
        for other in 0..=pages {
            let mut bytes = image.clone();
            let there = image.get(other * 4096..(other + 1) * 4096).unwrap_or(&[0; 4096]);
            bytes[page * 4096..(page + 1) * 4096].copy_from_slice(there);
            sweep.try_out(&bytes, &|| format!("page {page} holds {other}"));
        }
    }
    println!("{} refused, {} read as they were", sweep.refused, sweep.read);
}

/// Of a store whose process was killed: the log is still beside the file.
#[test]
fn a_damaged_log_ends_before_the_damage() {
    let folder = Folder::fast("log");
    let mut store = open(&folder.file());
    let mut states = vec![contents(&mut store).unwrap()];
    for n in 0..6_u8 {
        let more = [put(format!("{n}"), vec![n; 700]), put("same", [n])];
        done(&mut store, &more, Durability::Sync);
        states.push(contents(&mut store).unwrap());
    }
    let [file, log] =
        ["store.db", "store.db-wal"].map(|name| fs::read(folder.0.join(name)).unwrap());
    let killed = Folder::fast("killed");
    let mut found = vec![0; states.len()];
    for at in (0..log.len()).step_by(if full() { 1 } else { 97 }) {
        let mut log = log.clone();
        log[at] ^= 0xff;
        fs::write(killed.file(), &file).unwrap();
        fs::write(killed.0.join("store.db-wal"), &log).unwrap();
        let there = contents(&mut open(&killed.file())).unwrap();
        let state = states.iter().position(|state| *state == there);
        found[state.unwrap_or_else(|| panic!("byte {at}: a state that never was"))] += 1;
    }
    println!("found after so many commits: {found:?}");
    assert!(found.iter().filter(|times| **times > 0).count() > 3, "{found:?}");
}
