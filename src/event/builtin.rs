//! The events that the module itself tells, by name.

/// One of them; its number is its bit in [`Wanted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    AgentStarted,
    AgentCompleted,
    AgentFailed,
    ToolInvoked,
    ToolSucceeded,
    ToolFailed,
    ToolLog,
    ToolProgress,
    ProviderRequest,
    ProviderResponse,
    ProviderError,
    ProviderRetry,
    MemoryUpdated,
    HookFailed,
    HandlerError,
    BatchError,
}

impl Builtin {
    pub const ALL: [Builtin; 16] = [
        Builtin::AgentStarted,
        Builtin::AgentCompleted,
        Builtin::AgentFailed,
        Builtin::ToolInvoked,
        Builtin::ToolSucceeded,
        Builtin::ToolFailed,
        Builtin::ToolLog,
        Builtin::ToolProgress,
        Builtin::ProviderRequest,
        Builtin::ProviderResponse,
        Builtin::ProviderError,
        Builtin::ProviderRetry,
        Builtin::MemoryUpdated,
        Builtin::HookFailed,
        Builtin::HandlerError,
        Builtin::BatchError,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Builtin::AgentStarted => "agent.started",
            Builtin::AgentCompleted => "agent.completed",
            Builtin::AgentFailed => "agent.failed",
            Builtin::ToolInvoked => "tool.invoked",
            Builtin::ToolSucceeded => "tool.succeeded",
            Builtin::ToolFailed => "tool.failed",
            Builtin::ToolLog => "tool.log",
            Builtin::ToolProgress => "tool.progress",
            Builtin::ProviderRequest => "provider.request",
            Builtin::ProviderResponse => "provider.response",
            Builtin::ProviderError => "provider.error",
            Builtin::ProviderRetry => "provider.retry",
            Builtin::MemoryUpdated => "memory.updated",
            Builtin::HookFailed => "hook.failed",
            Builtin::HandlerError => "system.handler_error",
            Builtin::BatchError => "system.batch_error",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Those that somebody would hear: nothing is put together for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted(u32);

impl Wanted {
    pub fn of(heard: impl Fn(&str) -> bool) -> Wanted {
        let bits = Builtin::ALL.into_iter().filter(|event| heard(event.name()));
        Wanted(bits.fold(0, |all, event| all | event.bit()))
    }

    pub fn has(self, event: Builtin) -> bool {
        self.0 & event.bit() != 0
    }
}

/// The events of an operation: it begins, and it ends in one of two ways.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    pub begun: Builtin,
    pub done: Builtin,
    pub failed: Builtin,
    /// They tell what it was given. A request does not: conversations are long, and private.
    pub with_input: bool,
}

impl Lifecycle {
    /// Of the operation with that name; most have none.
    pub fn of(operation: &str) -> Option<Lifecycle> {
        let (begun, done, failed) = match operation {
            "agent_run" => (Builtin::AgentStarted, Builtin::AgentCompleted, Builtin::AgentFailed),
            "tool_execute" => (Builtin::ToolInvoked, Builtin::ToolSucceeded, Builtin::ToolFailed),
            "provider_request" | "provider_embed" => {
                (Builtin::ProviderRequest, Builtin::ProviderResponse, Builtin::ProviderError)
            }
            _ => return None,
        };
        let with_input = begun != Builtin::ProviderRequest;
        Some(Lifecycle { begun, done, failed, with_input })
    }
}
