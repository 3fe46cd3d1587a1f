//! Whose turn it is at a conversation: runs get it in the order in which they asked.

use std::collections::VecDeque;

use crate::step::Token;

#[derive(Debug, Default)]
pub struct Queue {
    /// The run that is at it.
    holder: Option<Token>,
    waiting: VecDeque<Token>,
}

impl Queue {
    /// Whether it is the run's turn; if not, the run waits in line and will be woken.
    pub fn enter(&mut self, run: Token) -> bool {
        if self.holder.is_some_and(|holder| holder != run) {
            if !self.waiting.contains(&run) {
                self.waiting.push_back(run);
            }
            return false;
        }
        self.holder = Some(run);
        true
    }

    /// The run is done or gives up. If it was its turn the next one has it, so that nobody slips
    /// in between, and is to be woken.
    pub fn leave(&mut self, run: Token) -> Option<Token> {
        self.waiting.retain(|waiting| *waiting != run);
        if self.holder != Some(run) {
            return None;
        }
        self.holder = self.waiting.pop_front();
        self.holder
    }

    /// The run whose turn it is.
    pub fn holder(&self) -> Option<Token> {
        self.holder
    }

    pub fn is_idle(&self) -> bool {
        self.holder.is_none()
    }

    pub fn waiting(&self) -> impl Iterator<Item = Token> {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_take_turns_in_order() {
        let mut queue = Queue::default();
        assert!(queue.enter(1) && queue.enter(1));
        assert!(!queue.enter(2) && !queue.enter(3) && !queue.enter(2));
        assert_eq!(queue.waiting().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(queue.leave(1), Some(2));
        assert!(!queue.enter(1), "it is the turn of 2, even before it was woken");
        assert!(queue.enter(2));
        assert_eq!(queue.leave(2), Some(3));
    }

    #[test]
    fn who_gives_up_is_skipped() {
        let mut queue = Queue::default();
        assert!(queue.enter(1));
        assert!(!queue.enter(2) && !queue.enter(3));
        assert_eq!(queue.leave(2), None);
        assert_eq!(queue.leave(1), Some(3));
        assert_eq!(queue.leave(3), None);
        assert!(queue.is_idle());
    }
}
