//! How executions stand, and how steps end: the words that users read, events carry and the journal
//! keeps.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Pending,
    Running,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub const ALL: [Status; 6] = [
        Status::Pending,
        Status::Running,
        Status::Paused,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    pub fn of(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == word)
    }

    pub fn has_ended(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

impl How {
    const ALL: [How; 4] = [How::Completed, How::Failed, How::Skipped, How::Cancelled];

    pub fn of(word: &str) -> Option<How> {
        How::ALL.into_iter().find(|how| how.name() == word)
    }

    pub fn name(self) -> &'static str {
        match self {
            How::Completed => "completed",
            How::Failed => "failed",
            How::Skipped => "skipped",
            How::Cancelled => "cancelled",
        }
    }
}
