//! Pieces of an answer on their way to whoever follows the stream.

use std::collections::VecDeque;

use crate::chat::{Delta, ToolCallDelta, Usage};
use crate::value::{Data, Record};

/// What a stream callback gets.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    pub delta: Delta,
    /// Agent runs: the round it belongs to.
    pub iteration: Option<u32>,
    /// Agent runs: a tool has answered.
    pub tool_result: Option<Record>,
    /// Set on the last chunk only.
    pub end: Option<End>,
}

#[derive(Clone, Debug)]
pub struct End {
    pub finish_reason: String,
    pub usage: Option<Usage>,
}

impl Chunk {
    fn is_plain(&self) -> bool {
        self.tool_result.is_none() && self.end.is_none()
    }

    fn follows(&self, earlier: &Chunk) -> bool {
        self.is_plain() && earlier.is_plain() && self.iteration == earlier.iteration
    }

    pub fn to_data(self, index: u64) -> Data {
        let Delta { content, thinking, tool_calls } = self.delta;
        let calls: Vec<Record> = tool_calls.into_iter().map(call_record).collect();
        Record::new()
            .set("content", content.clone())
            .set("delta", content)
            .set("index", index)
            .set("done", self.end.is_some())
            .set("thinking", Some(thinking).filter(|text| !text.is_empty()))
            .set("tool_calls", Some(calls).filter(|calls| !calls.is_empty()))
            .set("tool_result", self.tool_result)
            .set("iteration", self.iteration)
            .set("finish_reason", self.end.as_ref().map(|end| end.finish_reason.clone()))
            .set("usage", self.end.and_then(|end| end.usage).map(|usage| usage.to_record()))
            .into()
    }
}

fn call_record(call: ToolCallDelta) -> Record {
    Record::new()
        .set("index", call.index + 1)
        .set("id", call.id)
        .set("name", call.name)
        .set("arguments", call.arguments)
}

/// Chunks waiting for a reader; neighbours of one round are merged.
#[derive(Debug, Default)]
pub struct Pipe {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    delivered: u64,
}

impl Pipe {
    /// Adds a chunk and says how many bytes wait now.
    pub fn put(&mut self, chunk: Chunk) -> usize {
        self.bytes += chunk.delta.bytes();
        match self.chunks.back_mut().filter(|last| chunk.follows(last)) {
            Some(last) => last.delta.append(chunk.delta),
            None => self.chunks.push_back(chunk),
        }
        self.bytes
    }

    /// Bytes of text that nobody has read yet.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn take(&mut self) -> Option<Data> {
        let chunk = self.chunks.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.delta.bytes());
        if self.chunks.is_empty() {
            self.bytes = 0;
        }
        self.delivered += 1;
        Some(chunk.to_data(self.delivered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str, iteration: u32) -> Chunk {
        let delta = Delta { content: content.into(), ..Delta::default() };
        Chunk { delta, iteration: Some(iteration), ..Chunk::default() }
    }

    fn content(data: Data) -> String {
        let Data::Record(record) = data else { panic!("no record") };
        let Some(Data::Text(text)) = record.get("content") else { panic!("no content") };
        text.clone()
    }

    #[test]
    fn text_of_one_round_is_merged_and_rounds_stay_apart() {
        let mut pipe = Pipe::default();
        pipe.put(text("a", 1));
        assert_eq!(pipe.put(text("b", 1)), 2);
        pipe.put(text("c", 2));
        assert_eq!(content(pipe.take().unwrap()), "ab");
        assert_eq!(content(pipe.take().unwrap()), "c");
        assert!(pipe.take().is_none());
        assert_eq!(pipe.put(text("d", 2)), 1);
    }
}
