//! What one instance of the module owns. Nothing here is shared with another Lua state.

use std::sync::Arc;

use crate::agent::Agent;
use crate::cassette;
use crate::clock::Clock;
use crate::config::Config;
use crate::coverage::Coverage;
use crate::event::Events;
use crate::hook::Hooks;
use crate::memory::Memory;
use crate::meter::Meter;
use crate::mock::server::Servers;
use crate::net::{Http, Transport};
use crate::optimize::Cache;
use crate::output::Fields;
use crate::provider::Providers;
use crate::registry::Registry;
use crate::schema::Library;
use crate::step::Token;
use crate::store::Current;
use crate::tasks::Tasks;
use crate::tool::Tools;
use crate::tool::mcp::Remotes;
use crate::value::Slots;
use crate::workflow::Workflows;

pub struct Runtime {
    pub clock: Clock,
    pub config: Config,
    pub slots: Slots,
    /// Fields of documents that were wanted last.
    pub fields: Fields,
    pub tasks: Tasks,
    pub transport: Arc<dyn Transport>,
    /// What stands in its way.
    pub cassette: cassette::Deck,
    pub agents: Registry<Agent>,
    pub tools: Tools,
    /// MCP servers that tools come from.
    pub remotes: Remotes,
    pub workflows: Workflows,
    pub providers: Providers,
    pub schemas: Library,
    pub cache: Cache,
    pub memory: Memory,
    /// Where data outlive the process.
    pub store: Current,
    pub events: Events,
    pub hooks: Hooks,
    /// Tokens, times and retries of all requests since the last reset.
    pub meter: Meter,
    /// What was used of what there is.
    pub coverage: Coverage,
    /// Mocks that are servers.
    pub servers: Servers,
}

impl Default for Runtime {
    fn default() -> Runtime {
        let clock = Clock::of_instance();
        Runtime {
            cache: Cache::of(clock.clone()),
            clock,
            config: Config::default(),
            slots: Slots::default(),
            fields: Fields::default(),
            tasks: Tasks::default(),
            transport: Arc::new(Http),
            cassette: cassette::Deck::default(),
            agents: Registry::new("agent"),
            tools: Tools::default(),
            remotes: Remotes::default(),
            workflows: Workflows::default(),
            providers: Providers::default(),
            schemas: Library::default(),
            memory: Memory::default(),
            store: Current::default(),
            events: Events::default(),
            hooks: Hooks::default(),
            meter: Meter::default(),
            coverage: Coverage::default(),
            servers: Servers::default(),
        }
    }
}

impl Runtime {
    /// Ends every operation under way. Called when the Lua state closes: nobody will be told.
    pub fn abandon_all(&mut self) {
        for token in self.tasks.all() {
            self.abandon(token);
        }
    }

    /// Ends one operation and forgets it, with everything it runs.
    pub fn abandon(&mut self, token: Token) {
        // What is around those inside is there for as long as they are.
        let children =
            self.tasks.get_mut(token).map(|running| std::mem::take(&mut running.children));
        children.into_iter().flatten().for_each(|child| self.abandon(child));
        let Some(mut running) = self.tasks.remove(token) else { return };
        if let Some(mut machine) = running.machine.take() {
            self.tell_abandoned(&running, machine.as_mut());
            machine.abandon(self, token);
        }
    }
}
