//! What an event is filed under: its category, and how urgent it is.

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    System,
    User,
    Agent,
    Tool,
    Workflow,
}

impl Category {
    pub const NAMES: &[&str] = &["system", "user", "agent", "tool", "workflow"];
    const ALL: [Category; 5] =
        [Category::System, Category::User, Category::Agent, Category::Tool, Category::Workflow];

    pub fn name(self) -> &'static str {
        match self {
            Category::System => "system",
            Category::User => "user",
            Category::Agent => "agent",
            Category::Tool => "tool",
            Category::Workflow => "workflow",
        }
    }

    /// That of an event which says none: the part before the first dot, if it is one.
    pub fn of(event: &str) -> Category {
        let first = event.split('.').next().unwrap_or_default();
        Category::parse(first).unwrap_or(Category::User)
    }

    pub fn parse(name: &str) -> Option<Category> {
        Category::ALL.into_iter().find(|category| category.name() == name)
    }
}

/// Of an event, and of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Critical,
}

impl Priority {
    pub const NAMES: &[&str] = &["low", "normal", "high", "critical"];
    const ALL: [Priority; 4] =
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_category_is_the_part_before_the_first_dot_if_it_is_one() {
        assert_eq!(Category::of("workflow.step.started"), Category::Workflow);
        assert_eq!(Category::of("agent"), Category::Agent);
        assert_eq!(Category::of("agents.started"), Category::User);
        assert_eq!(Category::of("order.system"), Category::User);
        assert_eq!(Category::of(""), Category::User);
    }

    #[test]
    fn every_name_is_read_again() {
        for name in Category::NAMES {
            assert_eq!(Category::parse(name).map(Category::name), Some(*name));
        }
        for name in Priority::NAMES {
            assert_eq!(Priority::parse(name).map(Priority::name), Some(*name));
        }
        assert!(Priority::Critical > Priority::High && Priority::Normal > Priority::Low);
    }
}
