//! What a question uses, in the ledgers of the runs it is asked in.

use super::{Exchange, Stage, has_content};
use crate::chat::{Reply, Usage};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Output, Step, Token};

impl Exchange {
    /// Nobody is asked any more once the budget of a run around it is used up.
    pub(super) fn check_budgets(&self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let clock = runtime.clock.clone();
        match runtime.tasks.ledgers(me, |ledger| ledger.over(&clock)) {
            Some(over) => Err(Error::new(Code::BudgetExceeded, over)),
            None => self.check_price(runtime, me),
        }
    }

    /// What has no price would never use up a budget of costs.
    fn check_price(&self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let limited = runtime.tasks.ledgers(me, |ledger| ledger.limits_cost().then_some(()));
        let model = &self.ask.request.model;
        if limited.is_none() || self.target.attempts.is_priced(model) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "budget.max_cost: provider {:?} has no price for model {model:?}",
            self.target.id
        )))
    }

    /// A question counts once, however often it has to be repeated.
    pub(super) fn count_step(&mut self, runtime: &mut Runtime, me: Token) {
        if self.stage != Stage::Asking || std::mem::replace(&mut self.stepped, true) {
            return;
        }
        runtime.tasks.ledgers(me, |ledger| {
            ledger.steps += 1;
            None::<()>
        });
    }

    /// A request has failed and another one follows: what it has used, if that was reported.
    pub(super) fn waste(&mut self, runtime: &Runtime) {
        let reported = self.target.attempts.inbox.lock().reply.usage.is_some();
        if reported {
            self.wasted = self.answer(runtime, None).usage;
            self.target.attempts.inbox.lock().reply = Reply::default();
        }
    }

    /// It has ended.
    pub(super) fn spend(&mut self, runtime: &mut Runtime, me: Token, result: &Result<Step>) {
        match result {
            Ok(Step::Done(Output::Answer(answer))) if !answer.cached => {
                runtime.tasks.spend(me, &answer.usage);
            }
            Err(_) => self.spend_broken(runtime, me),
            Ok(_) => {}
        }
    }

    /// It broke off: what was reported counts, or else what has come is estimated.
    pub(super) fn spend_broken(&mut self, runtime: &mut Runtime, me: Token) {
        let usage = self.used_so_far(runtime);
        runtime.tasks.spend(me, &usage);
    }

    fn used_so_far(&self, runtime: &Runtime) -> Usage {
        let something = {
            let inbox = self.target.attempts.inbox.lock();
            inbox.reply.usage.is_some() || has_content(&inbox.reply)
        };
        if something { self.answer(runtime, None).usage } else { self.wasted }
    }
}
