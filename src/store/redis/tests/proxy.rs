//! Loses answers between a client and its server, and delivers questions late.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of the next question of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Passes,
    /// The server hears it, its answer never comes: the connection ends.
    AnswerLost,
    /// The server hears it when it is released.
    Held,
}

struct State {
    fate: Fate,
    /// Decides which answers are lost.
    dice: Option<u64>,
    /// Both ends, and what is on its way between them.
    held: Vec<(TcpStream, TcpStream, Vec<u8>)>,
}

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(Mutex::new(State { fate: Fate::Passes, dice: None, held: Vec::new() }));
        let proxy = Proxy { port, state };
        let ours = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, proxy) = (client.unwrap(), ours.clone());
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                thread::spawn(move || proxy.serve(client, server));
            }
        });
        proxy
    }

    pub fn next(&self, fate: Fate) {
        self.state.lock().unwrap().fate = fate;
    }

    /// From now on every fourth answer is lost, in an order that goes by the seed.
    pub fn lose_some(&self, seed: u64) {
        self.state.lock().unwrap().dice = Some(seed);
    }

    fn fate(&self) -> Fate {
        let mut state = self.state.lock().unwrap();
        if let Some(dice) = &mut state.dice {
            *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            return if *dice >> 62 == 0 { Fate::AnswerLost } else { Fate::Passes };
        }
        std::mem::replace(&mut state.fate, Fate::Passes)
    }

    /// Delivers what was held; gives what the server answered.
    pub fn release(&self) -> Vec<String> {
        let held = std::mem::take(&mut self.state.lock().unwrap().held);
        held.into_iter()
            .map(|(_client, mut server, question)| {
                server.write_all(&question).unwrap();
                let mut answer = [0; 1000];
                let length = server.read(&mut answer).unwrap();
                String::from_utf8_lossy(&answer[..length]).into_owned()
            })
            .collect()
    }

    /// Questions and answers of these tests are small: each comes in one piece.
    fn serve(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let fate = self.fate();
            if fate == Fate::Held {
                self.state.lock().unwrap().held.push((client, server, buffer[..length].to_vec()));
                return;
            }
            server.write_all(&buffer[..length]).unwrap();
            let Ok(length) = server.read(&mut buffer) else { break };
            if fate == Fate::AnswerLost {
                break;
            }
            if client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }
}
