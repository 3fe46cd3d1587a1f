//! What a model's name tells about it: the server does not say, and refuses what a model lacks.

/// A Claude of some version, or a model of another house behind this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    Claude { major: u32, minor: u32, opus: bool },
    Other,
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    Never,
    /// With a budget of tokens.
    Budget,
    /// As it sees fit, with more or less effort.
    Adaptive,
}

impl Model {
    /// `claude-3-5-haiku-20241022`, `claude-opus-4-1`, `us.anthropic.claude-sonnet-4-5-…`.
    pub fn named(name: &str) -> Model {
        let Some((_, rest)) = name.split_once("claude-") else { return Model::Other };
        let words = rest.split(|c: char| !c.is_ascii_alphanumeric());
        // Longer numbers are dates.
        let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
        let mut numbers = words.skip_while(|word| number(word).is_none()).map_while(number);
        let Some(major) = numbers.next() else { return Model::Other };
        let minor = numbers.next().unwrap_or(0);
        Model::Claude { major, minor, opus: rest.contains("opus") }
    }

    fn version(self) -> Option<(u32, u32)> {
        match self {
            Model::Claude { major, minor, .. } => Some((major, minor)),
            Model::Other => None,
        }
    }

    /// The longest answer it can give, where that is known.
    pub fn max_tokens(self) -> Option<u32> {
        let Model::Claude { major, minor, opus } = self else { return None };
        Some(match (major, minor) {
            (0..3, _) | (3, 0..5) => 4096,
            (3, 5..7) => 8192,
            (4, 0..5) if opus => 32_000,
            (3 | 4, _) => 64_000,
            _ => return None,
        })
    }

    pub fn thinking(self) -> Thinking {
        match self.version() {
            Some(version) if version < (3, 7) => Thinking::Never,
            Some(version) if version >= (4, 6) => Thinking::Adaptive,
            _ => Thinking::Budget,
        }
    }

    /// Whether the server makes its answers fit a schema.
    pub fn keeps_to_schemas(self) -> bool {
        self.version().is_some_and(|version| version >= (4, 5) || version == (4, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        for (name, version) in [
            ("claude-3-haiku-20240307", (3, 0)),
            ("claude-3-5-haiku@20241022", (3, 5)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", (4, 1)),
            ("anthropic/claude-sonnet-4.5", (4, 5)),
            ("claude-sonnet-5", (5, 0)),
        ] {
            assert_eq!(Model::named(name).version(), Some(version), "{name}");
        }
        for name in ["deepseek-chat", "claude-next", ""] {
            assert_eq!(Model::named(name), Model::Other, "{name}");
        }
    }

    #[test]
    fn abilities_follow_the_version() {
        let of = |name| Model::named(name);
        assert_eq!(of("claude-3-5-haiku-latest").thinking(), Thinking::Never);
        assert_eq!(of("claude-sonnet-4-5").thinking(), Thinking::Budget);
        assert_eq!(of("claude-opus-4-7").thinking(), Thinking::Adaptive);
        assert_eq!(of("glm-4.6").thinking(), Thinking::Budget);
        assert_eq!(of("claude-opus-4-1").max_tokens(), Some(32_000));
        assert_eq!(of("claude-sonnet-5").max_tokens(), None);
        assert!(of("claude-haiku-4-5").keeps_to_schemas());
        assert!(!of("claude-sonnet-4-0").keeps_to_schemas());
    }
}
