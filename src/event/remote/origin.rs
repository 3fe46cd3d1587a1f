//! By what name others know who published an event.

use std::hash::{BuildHasher, RandomState};

use crate::net::workers::Home;

/// One for each instance, and in a forked child another one.
#[derive(Default)]
pub struct Origin(Option<(Home, String)>);

impl Origin {
    pub fn name(&mut self) -> String {
        match &self.0 {
            Some((home, name)) if home.is_here() => name.clone(),
            _ => {
                let name = random_name();
                self.0 = Some((Home::here(), name.clone()));
                name
            }
        }
    }
}

/// No other instance has it, on no machine, not even in a process forked from this one.
fn random_name() -> String {
    let random = |salt: u64| RandomState::new().hash_one((salt, std::process::id()));
    format!("{:016x}{:016x}", random(1), random(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_name_and_another_has_another() {
        let (mut one, mut other) = (Origin::default(), Origin::default());
        assert_eq!(one.name(), one.name());
        assert_ne!(one.name(), other.name());
        assert_eq!(one.name().len(), 32);
    }
}
