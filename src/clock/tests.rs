//! Virtual time: when it stands, when it runs, and how it moves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::net::testing::sleep_ms;

fn started() -> Clock {
    let clock = Clock::of_instance();
    assert!(clock.begin());
    clock
}

#[test]
fn whole_milliseconds_stay_whole_on_their_way_through_floats() {
    for ms in [0.0, 1.0, 1001.0, 4_350.0, 600_000.0, 86_400_000.0 * 365.0] {
        assert_eq!(Moment::of_ms(ms).ms(), ms);
        let later = Moment::of_ms(ms).after_float_ms(ms);
        assert_eq!(later.ms_since(Moment::of_ms(ms)), ms);
    }
    for ms in [0.1, 5_000.4, 5_000.3 + 0.1, 1e9 + 0.001, f64::INFINITY] {
        assert!(Moment::of_ms(ms).ms() >= ms.min(1e13), "{ms}");
    }
}

#[test]
fn virtual_time_stands_and_leaps_exactly() {
    let clock = started();
    let (now, unix) = (clock.now(), clock.unix_ms());
    sleep_ms(5);
    assert_eq!((clock.now(), clock.unix_ms()), (now, unix));
    assert!(clock.is_quiet());
    assert!(clock.leap(Some(now.after_ms(600_000))));
    assert_eq!(clock.now().ms_since(now), 600_000.0);
    assert_eq!(clock.unix_ms() - unix, 600_000);
    assert!(!clock.begin(), "it is virtual already");
}

#[test]
fn nothing_leaps_back_nor_to_where_nobody_waits() {
    let clock = started();
    let now = clock.now();
    assert!(!clock.leap(None));
    assert!(!clock.leap(Some(now.after(Duration::MAX))));
    assert!(clock.leap(Some(Moment::START)));
    assert_eq!(clock.now(), now);
}

#[test]
fn monotonic_time_goes_on_and_the_wall_clock_is_real_again() {
    let clock = started();
    clock.leap(Some(clock.now().after_ms(600_000)));
    let last = clock.now();
    clock.end();
    assert!(clock.now() >= last);
    assert!((clock.unix() - Clock::default().unix()).abs() < 60.0);
    assert!(clock.now().until(last.after_ms(60_000)) < Duration::from_secs(60));
    assert!(!clock.is_virtual() && !clock.is_quiet() && !clock.leap(Some(last.after_ms(1))));
    assert!(clock.begin(), "it can begin again");
}

#[test]
fn time_runs_while_something_is_under_way() {
    let clock = started();
    let now = clock.now();
    let (one, other) = (clock.busy(), clock.clone().busy());
    drop(one);
    sleep_ms(5);
    assert!(!clock.is_quiet());
    assert!(clock.now().ms_since(now) >= 5.0);
    drop(other);
    let stood = clock.now();
    sleep_ms(2);
    assert!(clock.is_quiet());
    assert_eq!(clock.now(), stood);
}

#[test]
fn what_began_before_counts() {
    let clock = Clock::of_instance();
    let busy = clock.busy();
    assert!(clock.begin());
    assert!(!clock.is_quiet());
    drop(busy);
    assert!(clock.is_quiet());
}

#[test]
fn a_clock_of_no_instance_is_never_virtual() {
    let clock = Clock::default();
    assert!(!clock.begin() && !clock.is_virtual() && !clock.leap(None));
    drop(clock.busy());
}

#[test]
fn threads_leave_it_as_their_number_says() {
    let clock = started();
    let threads = (0..4)
        .map(|_| clock.clone())
        .map(|clock| std::thread::spawn(move || (0..2_000).for_each(|_| drop(clock.busy()))));
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    let stood = clock.now();
    sleep_ms(2);
    assert_eq!(clock.now(), stood);
}

/// A client at an address, that waits for its server or not.
struct Client {
    waits: AtomicBool,
    deadline: Option<Moment>,
    told: Mutex<u32>,
}

const PEER: &str = "127.0.0.1:4711";

impl Client {
    fn at(clock: &Clock, deadline: Option<Moment>) -> Arc<Client> {
        let told = Mutex::new(0);
        let client = Arc::new(Client { waits: AtomicBool::new(true), deadline, told });
        let traffic: Arc<dyn Traffic> = client.clone();
        clock.watch(Arc::downgrade(&traffic));
        client
    }
}

impl Traffic for Client {
    fn is_stalled(&self, stalled: &dyn Fn(SocketAddr) -> bool) -> bool {
        self.waits.load(Ordering::SeqCst) && stalled(PEER.parse().unwrap())
    }

    fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    fn moved(&self) {
        *self.told.lock().unwrap() += 1;
    }
}

#[test]
fn a_client_of_a_server_that_stalls_does_not_keep_time_from_leaping() {
    let clock = started();
    let (_busy, client) = (clock.busy(), Client::at(&clock, None));
    assert!(!clock.is_quiet());
    let until = clock.now().after_ms(60_000);
    let stall = clock.stall(PEER.parse().unwrap(), Some(until));
    assert!(clock.is_quiet());
    client.waits.store(false, Ordering::SeqCst);
    assert!(!clock.is_quiet(), "something is on its way to it");
    client.waits.store(true, Ordering::SeqCst);

    assert!(clock.leap(Some(until.after_ms(60_000))), "no farther than the stall lasts");
    assert!(clock.now() >= until && clock.now() < until.after_ms(30_000));
    assert!(!clock.is_quiet(), "the server goes on");
    drop(stall);
    assert_eq!(*client.told.lock().unwrap(), 1);
}

#[test]
fn stalls_and_waits_are_nothing_special_in_real_time() {
    let clock = Clock::of_instance();
    let stall = clock.stall(PEER.parse().unwrap(), Some(clock.now().after_ms(1)));
    assert_eq!(clock.patience(None), None);
    assert_eq!(clock.patience(Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
    assert!(clock.begin());
    assert_eq!(clock.patience(None), Some(LOOK));
    assert_eq!(clock.patience(Some(Duration::from_secs(60))), Some(LOOK));
    assert_eq!(clock.patience(Some(Duration::ZERO)), Some(Duration::ZERO));
    drop(stall);
}

#[test]
fn a_deadline_of_the_client_comes_first() {
    let clock = started();
    let _busy = clock.busy();
    let deadline = clock.now().after_ms(30_000);
    let _client = Client::at(&clock, Some(deadline));
    let _stall = clock.stall(PEER.parse().unwrap(), None);
    assert!(clock.is_quiet() && clock.leap(None));
    assert!(clock.now() >= deadline);
}

#[test]
fn deadlines_of_several_clocks_compare_in_real_time() {
    let (clock, real) = (Clock::of_instance(), Clock::default());
    assert_eq!(clock.real(Moment(7)), Moment(7));
    assert!(clock.begin());
    clock.leap(Some(clock.now().after_ms(600_000)));
    let soon = clock.now().after_ms(60_000);
    assert!(clock.real(soon) < real.now().after_ms(120_000));
    clock.end();
    assert!(clock.real(soon) < real.now().after_ms(120_000));
    assert!(clock.real(Moment(u64::MAX)) > real.now().after_ms(1 << 40));
    assert!(clock.real(Moment::START) <= real.now());
}
