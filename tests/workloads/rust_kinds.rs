// rust_kinds [CASE...]: threads that wait in the locks, conditions and channels of Rust's standard library.
// Speaks the protocol of cases.h. The same source is built stripped, with --cfg stripped: then it tells what
// can still be known.
use std::fmt::Write;
use std::io::Read;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{mpsc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::Duration;

const AN_HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_micros(500);

extern "C" {
    fn gettid() -> i32;
    fn pause() -> i32;
    fn write(fd: i32, bytes: *const u8, count: usize) -> isize;
}

// --- what is true of a blocked thread (struct wait of cases.h) ---------------------------------------

#[derive(Clone, Copy)]
struct Wait {
    kind: &'static str,
    call: &'static str,
    object: Option<(usize, usize)>, // the futex lies in these bytes
    detail: &'static str,
    holder: i32,
    holder_state: &'static str,
    timeout_s: u64,
    scope: &'static str,
    frames: &'static str,
}

const FUTEX: Wait = Wait {
    kind: "",
    call: "futex",
    object: None,
    detail: "",
    holder: 0,
    holder_state: "null",
    timeout_s: 0,
    scope: "private",
    frames: "",
};

fn lock_wait(frames: &'static str) -> Wait {
    let detail = "a lock of Rust's std: names no owner";
    Wait { kind: "lock", detail, holder_state: "none", frames, ..FUTEX }
}

fn bytes_of<T>(object: &'static T) -> Option<(usize, usize)> {
    Some((object as *const T as usize, std::mem::size_of::<T>()))
}

// Without symbols a futex is a futex. libc's own are left: syscall, and pthread_join, which tells a join.
fn as_known(wait: Wait) -> Wait {
    if !cfg!(stripped) {
        return wait;
    }
    match wait.kind {
        "join" => Wait { frames: "__pthread_clockjoin_ex start_thread", ..wait },
        "sleep" => Wait { frames: "nanosleep start_thread", ..wait },
        _ => Wait { kind: "futex", detail: "", holder_state: "unknown", frames: "syscall start_thread", ..wait },
    }
}

fn say(mut line: String) {
    line.push('\n');
    let written = unsafe { write(1, line.as_ptr(), line.len()) };
    assert_eq!(written, line.len() as isize);
}

fn tell(name: &str, tid: i32, wait: &Wait) {
    let pid = std::process::id();
    let mut line = format!(
        "{{\"fact\": \"thread\", \"case\": \"{name}\", \"pid\": {pid}, \"tid\": {tid}, \"libc\": \"glibc\", \
         \"kind\": \"{}\", \"syscall\": \"{}\", \"holder_tid\": {}, \"holder_pid\": {}, \"holder_state\": \"{}\", \
         \"timeout_s\": {}, \"frames\": \"{}\"",
        wait.kind,
        wait.call,
        wait.holder,
        if wait.holder != 0 { pid } else { 0 },
        wait.holder_state,
        wait.timeout_s,
        wait.frames
    );
    if let Some((from, size)) = wait.object {
        write!(line, ", \"object\": {from}, \"size\": {size}").unwrap();
    }
    for (key, text) in [("detail", wait.detail), ("scope", wait.scope)] {
        if !text.is_empty() {
            write!(line, ", \"{key}\": \"{text}\"").unwrap();
        }
    }
    line.push('}');
    say(line);
}

// --- asleep as expected ------------------------------------------------------------------------------

fn is_call(calls: &str, number: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    const NUMBERS: [(&str, &str); 4] =
        [("futex", "202"), ("nanosleep", "35"), ("clock_nanosleep", "230"), ("pause", "34")];
    #[cfg(target_arch = "aarch64")]
    const NUMBERS: [(&str, &str); 4] =
        [("futex", "98"), ("nanosleep", "101"), ("clock_nanosleep", "115"), ("pause", "73")];
    NUMBERS.iter().any(|(name, their)| *their == number && calls.split('|').any(|call| call == *name))
}

fn is_asleep(tid: i32, calls: &str) -> bool {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/task/{tid}/{file}"));
    let (stat, syscall) = match (read("stat"), read("syscall")) {
        (Ok(stat), Ok(syscall)) => (stat, syscall),
        _ => return false,
    };
    let state = stat.rsplit(')').next().and_then(|rest| rest.chars().nth(1));
    state == Some('S') && is_call(calls, syscall.split(' ').next().unwrap_or(""))
}

fn await_asleep(name: &str, tid: i32, calls: &str) {
    for _ in 0..60000 {
        if is_asleep(tid, calls) {
            return;
        }
        thread::sleep(MOMENT);
    }
    panic!("{name}: thread {tid} is not asleep in {calls}");
}

// Its tid, from the moment it runs.
fn start(body: impl FnOnce() + Send + 'static) -> i32 {
    let (tell_tid, tid) = mpsc::channel();
    thread::spawn(move || {
        tell_tid.send(unsafe { gettid() }).unwrap();
        drop(tell_tid);
        body();
        eprintln!("a thread was to block and came back");
        std::process::abort();
    });
    tid.recv().unwrap()
}

fn block(name: &str, body: impl FnOnce() + Send + 'static, wait: Wait) {
    let tid = start(body);
    await_asleep(name, tid, wait.call);
    tell(name, tid, &as_known(wait));
}

fn rest_for_good() {
    loop {
        unsafe { pause() };
    }
}

// A thread that takes something and keeps it for good; returns when it has it.
fn hold(take: impl FnOnce() + Send + 'static) {
    let tid = start(move || {
        take();
        rest_for_good();
    });
    await_asleep("a holder", tid, "pause");
}

fn made<T>(object: T) -> &'static T {
    Box::leak(Box::new(object))
}

// --- the cases ---------------------------------------------------------------------------------------

// Behind a call that would else become a jump and take its caller off the stack.
#[inline(always)]
fn stay() {
    unsafe { std::arch::asm!("") };
}

#[inline(never)]
fn wait_in_mutex(mutex: &'static Mutex<u64>) {
    *mutex.lock().unwrap() += 1;
}

#[inline(never)]
fn wait_to_read(lock: &'static RwLock<u64>) {
    drop(lock.read().unwrap());
}

#[inline(never)]
fn wait_to_write(lock: &'static RwLock<u64>) {
    *lock.write().unwrap() += 1;
}

#[inline(never)]
fn wait_in_condvar(condvar: &'static Condvar) {
    let mutex = Mutex::new(false);
    let _guard = condvar.wait_while(mutex.lock().unwrap(), |done| !*done).unwrap();
}

#[inline(never)]
fn wait_in_condvar_for(condvar: &'static Condvar) {
    let mutex = Mutex::new(false);
    let _guard = condvar.wait_timeout(mutex.lock().unwrap(), AN_HOUR).unwrap();
}

#[inline(never)]
fn wait_in_recv(channel: mpsc::Receiver<u64>) {
    channel.recv().unwrap();
}

#[inline(never)]
fn wait_in_recv_timeout(channel: mpsc::Receiver<u64>) {
    channel.recv_timeout(AN_HOUR).unwrap();
}

#[inline(never)]
fn wait_in_send(channel: mpsc::SyncSender<u64>) {
    channel.send(1).unwrap();
}

#[inline(never)]
fn wait_in_park() {
    thread::park();
    stay();
}

#[inline(never)]
fn wait_in_park_timeout() {
    thread::park_timeout(AN_HOUR);
    stay();
}

#[inline(never)]
fn wait_in_once(once: &'static Once) {
    once.call_once(|| unreachable!());
}

#[inline(never)]
fn wait_in_barrier(barrier: &'static Barrier) {
    barrier.wait();
    stay();
}

#[inline(never)]
fn wait_in_join(thread: thread::JoinHandle<()>) {
    thread.join().unwrap();
}

#[inline(never)]
fn wait_in_scope() {
    thread::scope(|scope| {
        scope.spawn(rest_for_good);
    });
    stay();
}

#[inline(never)]
fn wait_in_sleep() {
    thread::sleep(AN_HOUR);
    stay();
}

fn mutex_case(name: &str) {
    let mutex = made(Mutex::new(0));
    hold(move || std::mem::forget(mutex.lock().unwrap()));
    let wait = Wait { object: bytes_of(mutex), ..lock_wait("rust_kinds::wait_in_mutex start_thread") };
    block(name, move || wait_in_mutex(mutex), wait);
}

fn reader_case(name: &str) {
    let lock = made(RwLock::new(0));
    hold(move || std::mem::forget(lock.write().unwrap()));
    let wait = Wait { object: bytes_of(lock), ..lock_wait("rust_kinds::wait_to_read start_thread") };
    block(name, move || wait_to_read(lock), wait);
}

fn writer_case(name: &str) {
    let lock = made(RwLock::new(0));
    hold(move || std::mem::forget(lock.read().unwrap()));
    let wait = Wait { object: bytes_of(lock), ..lock_wait("rust_kinds::wait_to_write start_thread") };
    block(name, move || wait_to_write(lock), wait);
}

fn condvar_wait(frames: &'static str) -> Wait {
    Wait { kind: "condvar", detail: "Condvar of Rust's std", frames, ..FUTEX }
}

fn condvar_case(name: &str) {
    let condvar = made(Condvar::new());
    let wait =
        Wait { object: bytes_of(condvar), ..condvar_wait("rust_kinds::wait_in_condvar start_thread") };
    block(name, move || wait_in_condvar(condvar), wait);
}

fn condvar_for_case(name: &str) {
    let condvar = made(Condvar::new());
    let wait = Wait {
        object: bytes_of(condvar),
        timeout_s: AN_HOUR.as_secs(),
        ..condvar_wait("rust_kinds::wait_in_condvar_for start_thread")
    };
    block(name, move || wait_in_condvar_for(condvar), wait);
}

fn channel_wait(frames: &'static str) -> Wait {
    Wait { kind: "condvar", detail: "a channel of Rust's std", frames, ..FUTEX }
}

fn recv_case(name: &str) {
    let (sender, receiver) = mpsc::channel();
    std::mem::forget(sender);
    block(name, move || wait_in_recv(receiver), channel_wait("rust_kinds::wait_in_recv start_thread"));
}

fn recv_timeout_case(name: &str) {
    let (sender, receiver) = mpsc::channel();
    std::mem::forget(sender);
    let wait = channel_wait("rust_kinds::wait_in_recv_timeout start_thread");
    block(
        name,
        move || wait_in_recv_timeout(receiver),
        Wait { timeout_s: AN_HOUR.as_secs(), ..wait },
    );
}

fn send_case(name: &str) {
    let (sender, receiver) = mpsc::sync_channel(0);
    std::mem::forget(receiver);
    block(name, move || wait_in_send(sender), channel_wait("rust_kinds::wait_in_send start_thread"));
}

fn park_wait(frames: &'static str) -> Wait {
    Wait { kind: "condvar", detail: "thread::park of Rust's std", frames, ..FUTEX }
}

fn park_case(name: &str) {
    block(name, wait_in_park, park_wait("rust_kinds::wait_in_park start_thread"));
}

fn park_timeout_case(name: &str) {
    let wait = park_wait("rust_kinds::wait_in_park_timeout start_thread");
    block(name, wait_in_park_timeout, Wait { timeout_s: AN_HOUR.as_secs(), ..wait });
}

fn once_case(name: &str) {
    let once = made(Once::new());
    hold(move || once.call_once(rest_for_good));
    let wait = Wait {
        detail: "Once of Rust's std: names no owner",
        ..lock_wait("std::sync::once::Once::call_inner rust_kinds::wait_in_once start_thread")
    };
    block(name, move || wait_in_once(once), wait);
}

fn barrier_case(name: &str) {
    let barrier = made(Barrier::new(2));
    let wait = Wait {
        kind: "barrier",
        detail: "Barrier of Rust's std",
        object: bytes_of(barrier),
        frames: "rust_kinds::wait_in_barrier start_thread",
        ..FUTEX
    };
    block(name, move || wait_in_barrier(barrier), wait);
}

static JOINED: AtomicI32 = AtomicI32::new(0);

fn join_case(name: &str) {
    let joined = thread::spawn(|| {
        JOINED.store(unsafe { gettid() }, Ordering::SeqCst);
        rest_for_good();
    });
    while JOINED.load(Ordering::SeqCst) == 0 {
        thread::sleep(MOMENT);
    }
    let wait = Wait {
        kind: "join",
        detail: "pthread_join",
        holder: JOINED.load(Ordering::SeqCst),
        holder_state: "alive",
        scope: "shared", // glibc's joins are not private
        frames: "std::sys::unix::thread::Thread::join rust_kinds::wait_in_join start_thread",
        ..FUTEX
    };
    block(name, move || wait_in_join(joined), wait);
}

// The end of a scope parks until the last of its threads unparks it.
fn scope_case(name: &str) {
    block(name, wait_in_scope, park_wait("rust_kinds::wait_in_scope start_thread"));
}

fn sleep_case(name: &str) {
    let wait = Wait {
        kind: "sleep",
        call: "nanosleep|clock_nanosleep",
        timeout_s: AN_HOUR.as_secs(),
        scope: "",
        frames: "std::thread::sleep rust_kinds::wait_in_sleep start_thread",
        ..FUTEX
    };
    block(name, wait_in_sleep, wait);
}

type Case = (&'static str, fn(&str));
const CASES: [Case; 15] = [
    ("Mutex", mutex_case),
    ("RwLock to read", reader_case),
    ("RwLock to write", writer_case),
    ("Condvar", condvar_case),
    ("Condvar for", condvar_for_case),
    ("mpsc recv", recv_case),
    ("mpsc recv_timeout", recv_timeout_case),
    ("mpsc send", send_case),
    ("park", park_case),
    ("park_timeout", park_timeout_case),
    ("Once", once_case),
    ("Barrier", barrier_case),
    ("join", join_case),
    ("scope", scope_case),
    ("sleep", sleep_case),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    assert!(wanted.iter().all(|name| CASES.iter().any(|case| case.0 == name)), "no such case");
    for (name, make) in CASES {
        if wanted.is_empty() || wanted.iter().any(|given| given == name) {
            make(name);
        }
    }
    say("{\"fact\": \"ready\"}".to_string());
    // Stdin's end is ours; the threads need no leave.
    let mut byte = [0];
    while let Ok(1) = std::io::stdin().read(&mut byte) {
        if byte[0] == b'\n' {
            say("{\"fact\": \"done\"}".to_string());
        }
    }
    std::process::exit(0);
}
