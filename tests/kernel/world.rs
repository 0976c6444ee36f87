//! What a case runs in: a private network namespace, a TUN device in it, the stack on the device's one
//! side and the kernel's TCP on the other.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use netstack_device::tun::{OffloadMode, TunConfig, TunDevice};
use netstack_device::{Coalescing, Device, netns};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

use crate::cases::{CASES, Case, Family, Flavour, Link, Setup};
use crate::gate::{Gate, Gated};
use crate::harness::{SKIP_MARK, SKIP_STATUS};
use crate::marks::{Marked, Marks};

/// Why a case failed, for a person to read.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
pub(crate) type CaseResult = Result<(), Failure>;

/// Fails the case with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;

/// What a case needs beyond its device could not be had: it is no failure of the stack.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Refused {}

pub(crate) const DEVICE: &str = "nst0";

/// Networks that the kernel routes to the stack's device in a case with `any_address`.
pub(crate) const FOREIGN_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 0);
pub(crate) const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0);

/// The stack on its device, with the kernel on the other side.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) gate: Gate,
    pub(crate) marks: Marks,
    pub(crate) family: Family,
    /// A runtime of its own for the kernel's sockets, so that the stack's runtime does the stack's work alone.
    pub(crate) kernel: Handle,
}

impl World {
    pub(crate) fn stack_ip(&self) -> IpAddr {
        self.family.stack_ip()
    }

    pub(crate) fn kernel_ip(&self) -> IpAddr {
        self.family.kernel_ip()
    }

    /// An address that the kernel neither has nor forwards to: packets there are never answered.
    pub(crate) fn silent_ip(&self) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 77).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77).into(),
        }
    }

    /// An address that the kernel has no route to: once it forwards, it says so by ICMP.
    pub(crate) fn unreachable_ip(&self) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::new(198, 51, 100, 9).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 9).into(),
        }
    }

    pub(crate) fn at_stack(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.stack_ip(), port)
    }

    pub(crate) async fn listen(&self, port: u16) -> io::Result<TcpListener> {
        TcpListener::bind(&self.stack, self.at_stack(port)).await
    }

    /// Starts something on the kernel's side.
    pub(crate) fn on_kernel<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.kernel.spawn(future)
    }

    /// A connection that the kernel opened to the stack: the kernel's end, and the stack's.
    pub(crate) async fn pair(&self, port: u16) -> Result<(tokio::net::TcpStream, TcpStream), Failure> {
        let listener = self.listen(port).await?;
        let connecting = self.on_kernel(tokio::net::TcpStream::connect(self.at_stack(port)));
        let (stream, _) = listener.accept().await?;
        Ok((connecting.await??, stream))
    }
}

/// The child's part of the harness: runs one case, and tells by the exit status how it went.
pub(crate) fn run_case(name: &str) -> ExitCode {
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        eprintln!("there is no case {name:?}");
        return ExitCode::FAILURE;
    };
    // Before any thread: a process with threads cannot enter a user namespace.
    if let Err(error) = netns::enter_private() {
        return refused(&io::Error::from(error).into());
    }
    watch(case);
    // What `RUST_LOG` asks for, to look into a case that fails.
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match drive(case) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Setup(error)) => refused(&error),
        Err(Stopped::Case(error)) => {
            eprintln!("{error}");
            diagnose();
            ExitCode::FAILURE
        }
    }
}

enum Stopped {
    Setup(Failure),
    Case(Failure),
}

fn drive(case: &Case) -> Result<(), Stopped> {
    let setup = |error: io::Error| Stopped::Setup(error.into());
    let kernel = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(setup)?;
    let runtime = runtime(case.setup.flavour).map_err(setup)?;
    runtime.block_on(async {
        let world = build(&case.setup, kernel.handle().clone()).await.map_err(Stopped::Setup)?;
        let stack = world.stack.clone();
        // Kept for the watchdog too, which prints it when a case hangs.
        let _ = STACK.set(stack.clone());
        (case.run)(Arc::new(world)).await.map_err(|error| match error.downcast::<Refused>() {
            Ok(refused) => Stopped::Setup(refused.0.into()),
            Err(error) => Stopped::Case(error),
        })
    })
}

fn runtime(flavour: Flavour) -> io::Result<Runtime> {
    match flavour {
        Flavour::CurrentThread => Builder::new_current_thread().enable_all().build(),
        Flavour::MultiThread => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
    }
}

async fn build(setup: &Setup, kernel: Handle) -> Result<World, Failure> {
    let mut tun = TunConfig::new(DEVICE)
        .mtu(setup.mtu)
        .queues(setup.queues)
        .offload(match setup.link {
            Link::Plain | Link::Coalescing => OffloadMode::Off,
            Link::Offload => OffloadMode::Auto,
        })
        .host_address(Ipv4Addr::new(192, 0, 2, 1).into(), 24)
        .host_address(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), 64);
    if setup.any_address {
        tun = tun.route(FOREIGN_V4.into(), 24).route(FOREIGN_V6.into(), 64);
    }
    let device: TunDevice = tun.open().await.map_err(io::Error::from)?;
    eprintln!("device: {device:?}");
    let device: Box<dyn Device> = match setup.link {
        Link::Coalescing => Box::new(Coalescing::new(device)),
        Link::Plain | Link::Offload => Box::new(device),
    };
    let (gate, marks) = (Gate::default(), Marks::default());
    let device = Marked { device, marks: marks.clone() };
    let mut config = TcpConfig::new();
    (setup.configure)(&mut config);
    let stack = Stack::builder()
        .device(Gated { device, gate: gate.clone() })
        .address("192.0.2.2/24".parse()?)
        .address("2001:db8::2/64".parse()?)
        .any_address(setup.any_address)
        .tcp_config(config)
        .build()?;
    Ok(World { stack, gate, marks, family: setup.family, kernel })
}

/// A machine that forbids namespaces or TUN devices has the case skipped; any other error fails it.
fn refused(error: &Failure) -> ExitCode {
    let forbidden = error.downcast_ref::<io::Error>().is_some_and(|error| {
        use io::ErrorKind::{NotFound, PermissionDenied, StorageFull, Unsupported};
        matches!(error.kind(), NotFound | PermissionDenied | StorageFull | Unsupported)
    });
    if forbidden {
        println!("{SKIP_MARK}{error}");
        ExitCode::from(SKIP_STATUS)
    } else {
        eprintln!("cannot set up the case: {error}");
        ExitCode::FAILURE
    }
}

static STACK: OnceLock<Stack> = OnceLock::new();

/// Ends the process at the case's deadline, with all that helps to see where it hangs.
fn watch(case: &Case) {
    let deadline = case.deadline();
    thread::spawn(move || {
        thread::sleep(deadline);
        eprintln!("not done after {} s", deadline.as_secs());
        diagnose();
        std::process::exit(1);
    });
}

/// Prints the counters of the stack and the connections as the kernel sees them.
fn diagnose() {
    if let Some(stack) = STACK.get() {
        print_counters(stack);
        eprintln!("its device: {:?}", stack.device_counters(0));
        eprintln!("{} connections, {} in TIME-WAIT", stack.connection_count(), stack.time_wait_count());
    }
    for table in ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/dev", "/proc/net/snmp"] {
        if let Ok(text) = std::fs::read_to_string(table) {
            eprintln!("{table}:\n{text}");
        }
    }
    // Where iproute2 is installed its view says more; it is not needed.
    if let Ok(output) = Command::new("ss").args(["-tinma"]).output() {
        eprintln!("ss -tinma:\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

pub(crate) fn print_counters(stack: &Stack) {
    eprintln!("the stack's counters that are not 0:");
    for (name, count) in stack.counters().iter().filter(|(_, count)| *count > 0) {
        eprintln!("  {name} {count}");
    }
}

/// Waits until `probe` gives `expected`, at most two seconds, for states that another thread moves.
pub(crate) async fn settle<T, P>(what: &str, expected: T, mut probe: P) -> CaseResult
where
    T: PartialEq + fmt::Debug,
    P: FnMut() -> T,
{
    let mut seen = probe();
    for _ in 0..400 {
        if seen == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        seen = probe();
    }
    Err(format!("{what}: expected {expected:?}, still {seen:?} after 2 s").into())
}
