//! Panics become errors: a defect in this module must never take the host process down.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use once_cell::sync::Lazy;

use crate::error::{Error, Result};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Silences the default panic message for panics that become errors. The hook belongs to this
/// module's own copy of the standard library; it is set at the first call, not at `require`.
static QUIET: Lazy<()> = Lazy::new(|| {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !GUARDED.get() {
            loud(info);
        }
    }));
});

/// Runs code so that a panic in it becomes an error of code `internal`.
pub fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    Lazy::force(&QUIET);
    let before = GUARDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(before);
    outcome.unwrap_or_else(|payload| Err(Error::internal(text(payload.as_ref()))))
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("defect in zigllms: {}", text.unwrap_or("unknown panic"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        let error = guarded::<()>(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert_eq!(error.message(), "defect in zigllms: number 7");
        let plain = guarded::<()>(|| panic!("plain")).unwrap_err();
        assert_eq!(plain.message(), "defect in zigllms: plain");
    }

    #[test]
    fn guards_nest_and_results_pass() {
        let inner = || guarded::<u8>(|| panic!("inner"));
        let outer = guarded(|| Ok(inner().is_err()));
        assert!(outer.unwrap());
        assert!(!GUARDED.get(), "outside of guards panics are loud again");
    }
}
