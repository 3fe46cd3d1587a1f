//! Without Redis there is no such store, so there can be no channel.

use std::time::Duration;

use super::{Message, Terms, Trouble};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::net::Waker;
use crate::store::place::{Url, no_redis};

pub enum Channel {}

pub fn finish(_: &Clock, _: Moment) {}

impl Channel {
    pub fn open(_: &Url, _: Terms, _: &Clock, _: Waker) -> Result<Channel> {
        Err(no_redis())
    }

    pub fn is_here(&self) -> bool {
        match *self {}
    }

    pub fn opened(&self, _: &Waker) -> Option<Result<()>> {
        match *self {}
    }

    pub fn send(&self, _: Vec<u8>) {
        match *self {}
    }

    pub fn next(&self) -> Option<Message> {
        match *self {}
    }

    pub fn handled(&self, _: &str) {
        match *self {}
    }

    pub fn trouble(&self) -> Option<Trouble> {
        match *self {}
    }

    pub fn queued(&self) -> u64 {
        match *self {}
    }

    pub fn hurry(&self) -> u64 {
        match *self {}
    }

    pub fn sent(&self, _: u64, _: u64, _: &Waker) -> Option<Result<()>> {
        match *self {}
    }

    pub fn close(&self) {
        match *self {}
    }

    pub fn settle(&self, _: Duration) -> bool {
        match *self {}
    }
}
