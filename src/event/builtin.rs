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
    WorkflowStarted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowCancelled,
    WorkflowPaused,
    WorkflowResumed,
    StepStarted,
    StepCompleted,
    StepFailed,
    StepSkipped,
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
    pub const ALL: [Builtin; 26] = [
        Builtin::AgentStarted,
        Builtin::AgentCompleted,
        Builtin::AgentFailed,
        Builtin::ToolInvoked,
        Builtin::ToolSucceeded,
        Builtin::ToolFailed,
        Builtin::ToolLog,
        Builtin::ToolProgress,
        Builtin::WorkflowStarted,
        Builtin::WorkflowCompleted,
        Builtin::WorkflowFailed,
        Builtin::WorkflowCancelled,
        Builtin::WorkflowPaused,
        Builtin::WorkflowResumed,
        Builtin::StepStarted,
        Builtin::StepCompleted,
        Builtin::StepFailed,
        Builtin::StepSkipped,
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
            Builtin::WorkflowStarted => "workflow.started",
            Builtin::WorkflowCompleted => "workflow.completed",
            Builtin::WorkflowFailed => "workflow.failed",
            Builtin::WorkflowCancelled => "workflow.cancelled",
            Builtin::WorkflowPaused => "workflow.paused",
            Builtin::WorkflowResumed => "workflow.resumed",
            Builtin::StepStarted => "workflow.step_started",
            Builtin::StepCompleted => "workflow.step_completed",
            Builtin::StepFailed => "workflow.step_failed",
            Builtin::StepSkipped => "workflow.step_skipped",
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

    pub fn is_of_workflow(self) -> bool {
        self.name().starts_with("workflow.")
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
    /// In place of `failed`.
    pub cancelled: Builtin,
    /// In place of `begun` where it goes on, and of `done` where it stops before its end: none
    /// unless it has such events.
    pub resumed: Option<Builtin>,
    pub paused: Option<Builtin>,
    /// They tell what it was given. A request does not: conversations are long, and private.
    pub with_input: bool,
}

impl Lifecycle {
    /// Of the operation with that name; most have none.
    pub fn of(operation: &str) -> Option<Lifecycle> {
        let (begun, done, failed) = match operation {
            "agent_run" => (Builtin::AgentStarted, Builtin::AgentCompleted, Builtin::AgentFailed),
            "tool_execute" => (Builtin::ToolInvoked, Builtin::ToolSucceeded, Builtin::ToolFailed),
            "workflow_execute" => {
                (Builtin::WorkflowStarted, Builtin::WorkflowCompleted, Builtin::WorkflowFailed)
            }
            "workflow_step" => (Builtin::StepStarted, Builtin::StepCompleted, Builtin::StepFailed),
            "provider_request" | "provider_embed" => {
                (Builtin::ProviderRequest, Builtin::ProviderResponse, Builtin::ProviderError)
            }
            _ => return None,
        };
        let with_input = begun != Builtin::ProviderRequest;
        let events = Lifecycle {
            begun,
            done,
            failed,
            cancelled: failed,
            resumed: Some(begun),
            paused: Some(done),
            with_input,
        };
        Some(match begun {
            Builtin::WorkflowStarted => Lifecycle {
                cancelled: Builtin::WorkflowCancelled,
                resumed: Some(Builtin::WorkflowResumed),
                paused: Some(Builtin::WorkflowPaused),
                ..events
            },
            Builtin::StepStarted => Lifecycle { resumed: None, paused: None, ..events },
            _ => events,
        })
    }
}
