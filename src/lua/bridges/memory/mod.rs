//! `zigllms.memory`: what programs and agents remember.

use crate::error::Code;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Read, Run, Short};
use crate::shape::Kind;

mod change;
mod conversation;
mod entries;
mod files;
mod listing;
mod options;
mod search;
pub mod watched;

const KEY: Param = Param::new("key", KEY_KIND).read(Read::Bytes);
const KEY_KIND: Kind = Kind::OneOf(&[Kind::Name, Kind::Number(-9e15, 9e15)]);

pub static BRIDGE: Bridge = Bridge {
    name: "memory",
    doc: "What programs and agents remember: values by scope, owner and key, for a while or for good.",
    constants: &[
        Constants {
            name: "Type",
            members: &[
                ("SHORT_TERM", "short_term"),
                ("LONG_TERM", "long_term"),
                ("PERSISTENT", "persistent"),
            ],
        },
        Constants {
            name: "Scope",
            members: &[("GLOBAL", "global"), ("AGENT", "agent"), ("SESSION", "session")],
        },
    ],
    functions: &[
        Function {
            name: "store",
            params: &[
                KEY,
                Param::new("value", Kind::Any).optional().read(Read::Bytes),
                Param::new("options", Kind::Table(&entries::STORE)).optional(),
            ],
            returns: &[("stored", "boolean")],
            doc: "Keeps a copy of a value, in the place of what the key had: value, type and life. Strings may be any \
                  bytes; nil deletes. False only with `if_absent`, when the key is there. With `embed` it waits for the \
                  provider, whose errors are those of `provider.embed`, and keeps nothing if that fails.",
            errors: &[
                Code::ConversionError,
                Code::AbortedByHook,
                Code::IoError,
                Code::InvalidState,
                Code::NotFound,
                Code::Cancelled,
            ],
            effect: Effect::Writes("memory"),
            example: "zigllms.memory.store(\"greeting\", { text = \"hello\", times = 3 })\n\
                      zigllms.memory.store(\"token\", \"abc\", { ttl = 60, scope = \"session\" })",
            run: Run::Perhaps(Some(Short::Store), entries::store),
        },
        Function {
            name: "retrieve",
            params: &[KEY, Param::new("options", Kind::Table(&entries::RETRIEVE)).optional()],
            returns: &[("value", "any"), ("about", "table?")],
            doc: "A fresh copy of the value, or `default`, or nil; and of an entry that has them its `tags` and `metadata`. \
                  With scope \"agent\" the key \"conversation\" is the agent's messages, \"conversation:NAME\" those of a session: \
                  `store` sets them, `delete` clears them, and they are no entries that `list_keys` shows.",
            errors: &[Code::IoError, Code::Cancelled, Code::HookError],
            effect: Effect::Reads("memory"),
            example: "zigllms.memory.store(\"n\", 1)\nassert(zigllms.memory.retrieve(\"n\") == 1)\n\
                      assert(zigllms.memory.retrieve(\"nothing\", { default = 0 }) == 0)",
            run: Run::Perhaps(Some(Short::Retrieve), entries::retrieve),
        },
        Function {
            name: "delete",
            params: &[KEY, Param::new("options", Kind::Table(&options::WHERE)).optional()],
            returns: &[("existed", "boolean")],
            doc: "Forgets an entry; true if there was one.",
            errors: &[Code::IoError, Code::Cancelled],
            effect: Effect::Writes("memory"),
            example: "zigllms.memory.store(\"old\", 1)\nassert(zigllms.memory.delete(\"old\"))",
            run: Run::Perhaps(None, entries::delete),
        },
        Function {
            name: "list_keys",
            params: &[
                Param::new("pattern", Kind::Text).optional(),
                Param::new("options", Kind::Table(&listing::LIST)).optional(),
            ],
            returns: &[("keys", "string[]|table[]")],
            doc: "Keys in order, those of the scope \"global\" unless told; in the pattern `*` stands for any text and `?` for \
                  any character. With `detail` or scope \"all\", tables: `{key, scope, owner, type, expires_at, bytes, tags, \
                  metadata}`.",
            errors: &[Code::IoError, Code::Cancelled],
            effect: Effect::Reads("memory"),
            example: "zigllms.memory.store(\"user:1\", \"Ada\")\nassert(zigllms.memory.list_keys(\"user:*\")[1] == \"user:1\")",
            run: Run::Perhaps(None, listing::list_keys),
        },
        Function {
            name: "clear",
            params: &[Param::new("options", Kind::Table(&listing::CLEAR)).optional()],
            returns: &[("ok", "true"), ("count", "integer")],
            doc: "Forgets entries: without options those of every scope, type and owner, in the store too. Conversations of \
                  agents stay, and so do snapshot files.",
            errors: &[Code::IoError, Code::Cancelled],
            effect: Effect::Writes("memory"),
            example: "zigllms.memory.store(\"tmp:1\", true)\nlocal _, count = zigllms.memory.clear{ scope = \"global\", pattern = \"tmp:*\" }\n\
                      assert(count == 1)",
            run: Run::Perhaps(None, listing::clear),
        },
        Function {
            name: "get_stats",
            params: &[],
            returns: &[("stats", "table")],
            doc: "`{total_keys, bytes, by_scope, by_type, hits, misses, hit_rate, expired, evicted, dirty, store, conversations}`: \
                  entries that lie in this process and in its store; `dirty` are those that no store holds though they \
                  are persistent, and writes that are queued.",
            errors: &[Code::IoError, Code::Cancelled],
            effect: Effect::Reads("memory"),
            example: "print(zigllms.memory.get_stats().total_keys)",
            run: Run::Perhaps(None, listing::get_stats),
        },
        Function {
            name: "persist",
            params: &[
                Param::new("path", Kind::Name).optional(),
                Param::new("options", Kind::Table(&files::PERSIST)).optional(),
            ],
            returns: &[("ok", "true"), ("count", "integer")],
            doc: "Writes entries of all types and conversations to where they outlive the process, and returns how many \
                  once they survive a crash of the machine. With a path: a JSON snapshot, also of what lies in the store. \
                  The file is replaced as a whole, for its owner only to read; a symbolic link is replaced, not followed; \
                  if it fails the old file is as it was. Without a path: into the store, where persistent entries lie \
                  already and are not counted. What this process wrote there before is replaced; for others it is \
                  nothing but what `load` finds. Waits.",
            errors: &[Code::InvalidState, Code::IoError, Code::Cancelled],
            effect: Effect::Outside,
            example: "zigllms.memory.store(\"kept\", 1)\nlocal path = os.tmpname()\nzigllms.memory.persist(path)\n\
                      zigllms.memory.delete(\"kept\")\nzigllms.memory.load(path)\n\
                      assert(zigllms.memory.retrieve(\"kept\") == 1)\nos.remove(path)",
            run: Run::Waits(files::persist),
        },
        Function {
            name: "load",
            params: &[
                Param::new("path", Kind::Name).optional(),
                Param::new("options", Kind::Table(&files::LOAD)).optional(),
            ],
            returns: &[("ok", "true"), ("count", "integer")],
            doc: "Reads what `persist` wrote, from a snapshot or from the store: all of it or, where it fails, nothing. \
                  What is loaded goes over what is there; expired entries are left out, and of the store those \
                  that have since become persistent. Conversations go to the agents of their names, also to those \
                  that are created later. Returns how many entries and conversations it read. A file that is not \
                  there is an `io_error` with the reason \"not_found\". Waits.",
            errors: &[
                Code::InvalidState,
                Code::IoError,
                Code::ParseFailed,
                Code::Unsupported,
                Code::Cancelled,
            ],
            effect: Effect::Outside,
            example: "local path = os.tmpname()\nzigllms.memory.persist(path)\nlocal ok, count = zigllms.memory.load(path)\n\
                      assert(ok and count >= 0)\nos.remove(path)",
            run: Run::Waits(files::load),
        },
    ],
    extras: &[
        Function {
            name: "store_many",
            params: &[
                Param::new("entries", Kind::Any).read(Read::Bytes),
                Param::new("options", Kind::Table(&entries::STORE)).optional(),
            ],
            returns: &[("count", "integer")],
            doc: "Keeps several values at once: a table of keys and values, or an array of `{key, value, options}`, whose \
                  options go over those of the call. All arguments are checked before anything is kept. With `embed` one \
                  question to the provider is for all.",
            errors: &[
                Code::ConversionError,
                Code::IoError,
                Code::InvalidState,
                Code::NotFound,
                Code::Cancelled,
            ],
            effect: Effect::Writes("memory"),
            example: "assert(zigllms.memory.store_many{ a = 1, b = 2 } == 2)\n\
                      zigllms.memory.store_many{ { \"c\", 3, { ttl = 60 } }, { \"d\", 4 } }",
            run: Run::Perhaps(None, entries::store_many),
        },
        Function {
            name: "retrieve_many",
            params: &[
                Param::new("keys", Kind::List(&KEY_KIND)).read(Read::Bytes),
                Param::new("options", Kind::Table(&options::WHERE)).optional(),
            ],
            returns: &[("values", "table")],
            doc: "The values of several keys as a table from key to value; what is not there is not in it.",
            errors: &[Code::IoError, Code::Cancelled],
            effect: Effect::Reads("memory"),
            example: "zigllms.memory.store_many{ a = 1, b = 2 }\n\
                      assert(zigllms.memory.retrieve_many({ \"a\", \"b\", \"z\" }).b == 2)",
            run: Run::Perhaps(None, entries::retrieve_many),
        },
        Function {
            name: "update",
            params: &[
                KEY,
                Param::new("fn", Kind::Function),
                Param::new("options", Kind::Table(&change::CHANGE)).optional(),
            ],
            returns: &[("value", "any")],
            doc: "Reads, changes and writes an entry as one: `fn(old)` returns the new value, nil deletes it. If somebody \
                  else was faster, `fn` runs again with what is there now, so it must not wait. Type, life and tags of an \
                  entry that is there stay. Atomic for all processes and machines that share the store.",
            errors: &[Code::ConversionError, Code::CallbackError, Code::IoError, Code::Cancelled],
            effect: Effect::Outside,
            example: "zigllms.memory.update(\"seen\", function(old) return (old or 0) + 1 end)",
            run: Run::Perhaps(None, change::update),
        },
        Function {
            name: "increment",
            params: &[
                KEY,
                Param::new("by", Kind::Number(f64::MIN, f64::MAX)).optional(),
                Param::new("options", Kind::Table(&change::CHANGE)).optional(),
            ],
            returns: &[("value", "number")],
            doc: "Adds to a number, 1 unless told; what is not there counts as 0. Atomic as `update`.",
            errors: &[Code::InvalidState, Code::IoError, Code::Cancelled],
            effect: Effect::Writes("memory"),
            example: "zigllms.memory.delete(\"visits\")\nassert(zigllms.memory.increment(\"visits\") == 1)\n\
                      assert(zigllms.memory.increment(\"visits\", 10) == 11)",
            run: Run::Perhaps(None, change::increment),
        },
        Function {
            name: "search",
            params: &[
                Param::new("query", search::QUERY),
                Param::new("options", Kind::Table(&search::SEARCH)).optional(),
            ],
            returns: &[("found", "table[]")],
            doc: "The entries whose embeddings are most like a vector, or the vector of a text, the best first: an array of \
                  `{key, value, score, scope, owner, tags, metadata}`. `score` is the cosine, every embedding is compared, \
                  of equal ones that with the first key comes first. A text is sent to the provider of \
                  `configure{memory={embed_provider=, embed_model=}}`; errors are those of `provider.embed`. Vectors of \
                  another number of dimensions are passed over; if all are such, it is an error.",
            errors: &[
                Code::InvalidState,
                Code::NotFound,
                Code::Unsupported,
                Code::IoError,
                Code::Cancelled,
            ],
            effect: Effect::Reads("memory"),
            example: "zigllms.memory.store(\"cat\", \"meow\", { embedding = { 1, 0.1 } })\n\
                      zigllms.memory.store(\"dog\", \"woof\", { embedding = { 0, 1 } })\n\
                      assert(zigllms.memory.search({ 1, 0 }, { limit = 1 })[1].key == \"cat\")",
            run: Run::Perhaps(None, search::search),
        },
    ],
};
