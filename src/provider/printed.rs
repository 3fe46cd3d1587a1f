//! Tool calls that a local model printed as text: its server passes them on as it got them.

use super::wire::Decoder;
use crate::chat::printed::{Answering, Tools};
use crate::chat::{Delta, Reply, Request, ToolChoice};
use crate::error::Result;

/// Types of provider whose servers run models of all kinds. Elsewhere it takes an option.
const LOCAL: &[&str] = &["local", "llamacpp", "vllm", "lmstudio"];

/// Whether an answer of this type of provider is looked through for calls.
pub fn wanted(request: &Request, kind: &str) -> bool {
    let settings = &request.settings;
    let offered = !request.tools.is_empty() && settings.tool_choice != Some(ToolChoice::None);
    offered && settings.printed_tool_calls.unwrap_or_else(|| LOCAL.contains(&kind))
}

/// A decoder that also reads what was printed, where that is wanted.
pub fn reading(inner: Box<dyn Decoder>, request: &Request, kind: &str) -> Box<dyn Decoder> {
    if !wanted(request, kind) {
        return inner;
    }
    Box::new(Printed { inner, answering: Answering::new(Tools::offered(&request.tools)) })
}

struct Printed {
    inner: Box<dyn Decoder>,
    answering: Answering,
}

impl Decoder for Printed {
    fn push(&mut self, bytes: &[u8], reply: &mut Reply, delta: &mut Delta) -> Result<bool> {
        let mut piece = Delta::default();
        let moved = self.inner.push(bytes, reply, &mut piece);
        self.answering.pass(reply, piece, delta);
        moved
    }

    fn end(&mut self, reply: &mut Reply, delta: &mut Delta) -> Result<()> {
        let mut piece = Delta::default();
        match self.inner.end(reply, &mut piece) {
            Ok(()) => self.answering.end(reply, piece, delta),
            Err(error) => {
                self.answering.pass(reply, piece, delta);
                return Err(error);
            }
        }
        Ok(())
    }
}
