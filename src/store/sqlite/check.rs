//! Whether a file is a store, and whether all of it is there.

use rusqlite::Connection;

use super::fault::{Checked, Fault};
use super::sql::{self, State};
use super::sum::Total;

/// A larger store is not read as a whole when it is opened: its records are checked as they are
/// read, but one that has gone may not be missed. Reading takes some 5 ms for each MiB.
const READ_WHOLE: i64 = 64 << 20;

/// That it is one of ours.
pub fn identity(connection: &Connection) -> Checked<()> {
    let application: i32 = sql::pragma(connection, "application_id").map_err(no_database)?;
    if application != sql::APPLICATION {
        return Err(Fault::Foreign("a database of another program"));
    }
    let format: i32 = sql::pragma(connection, "user_version")?;
    match format {
        sql::FORMAT => Ok(()),
        newer if newer > sql::FORMAT => Err(Fault::Newer(newer)),
        _ => Err(Fault::damaged("a format that there never was")),
    }
}

fn no_database(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Fault::Foreign("not a store"),
        _ => Fault::Sql(error),
    }
}

/// That it is as it was left. Sees one moment of it, whoever else writes.
pub fn contents(connection: &Connection) -> Checked<()> {
    let moment = connection.unchecked_transaction()?;
    if !sql::has_our_schema(&moment)? {
        return Err(Fault::damaged("its tables are not as they were made"));
    }
    let state = State::read(&moment)?;
    let size =
        sql::pragma::<i64>(&moment, "page_count")? * sql::pragma::<i64>(&moment, "page_size")?;
    if size <= READ_WHOLE {
        pages(&moment)?;
        records(&moment, state.total)?;
    }
    Ok(())
}

fn pages(connection: &Connection) -> Checked<()> {
    match sql::pragma::<String>(connection, "quick_check(1)")? {
        fine if fine == "ok" => Ok(()),
        damage => {
            let line: Vec<&str> = damage.split_whitespace().collect();
            Err(Fault::Damaged(line.join(" ")))
        }
    }
}

fn records(connection: &Connection, expected: Total) -> Checked<()> {
    let mut total = Total::default();
    let mut last: Option<(i64, Vec<u8>)> = None;
    sql::all(connection, |space, key, sum| {
        let here = (space, key.to_vec());
        if last.as_ref().is_some_and(|last| *last >= here) {
            return Err(Fault::damaged("its records are not in order"));
        }
        last = Some(here);
        total.add(sum);
        Ok(())
    })?;
    if total != expected {
        return Err(Fault::Damaged(format!(
            "it holds {} records that are not the {} written",
            total.records, expected.records
        )));
    }
    Ok(())
}
