//! tokio-postgres over the stack, with a PostgreSQL server on the kernel's side where one is installed.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, chown, geteuid};
use tokio_netstack::TcpStream;
use tokio_postgres::{Client, Config, NoTls};

use crate::world::{CaseResult, Failure, Refused, World, ensure};

const PORT: u16 = 5432;
const PASSWORD: &str = "correct horse";
/// Nobody: the server refuses to run as root, which the case is in its namespace.
const NOBODY: u32 = 65534;
const ROWS: i32 = 20_000;

/// A server with a fresh database, gone when dropped.
struct Server {
    process: Child,
    folder: PathBuf,
}

impl Server {
    fn start(listen: SocketAddr, client: IpAddr) -> Result<Self, Failure> {
        let bin = installed().ok_or_else(|| {
            let text = "no PostgreSQL server is installed (Debian: apt-get install postgresql)";
            Refused(io::Error::new(io::ErrorKind::NotFound, text))
        })?;
        let folder = std::env::temp_dir().join(format!("netstack-postgres-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (data, password) = (folder.join("data"), folder.join("password"));
        fs::write(&password, PASSWORD)?;
        if let Some(owner) = owner() {
            for path in [&folder, &password] {
                chown(path, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
            }
        }
        let mut initdb = as_nobody(&bin.join("initdb"));
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--locale=C"]);
        initdb.arg("--pwfile").arg(&password).arg("-D").arg(&data);
        let made = initdb.stdin(Stdio::null()).output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let len = if client.is_ipv4() { 32 } else { 128 };
        let rules = format!("host all all {client}/{len} scram-sha-256\n");
        fs::write(data.join("pg_hba.conf"), rules)?;

        let mut server = as_nobody(&bin.join("postgres"));
        server.arg("-D").arg(&data).args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        server.arg("-c").arg(format!("listen_addresses={}", listen.ip()));
        server.arg("-p").arg(listen.port().to_string());
        let process = server.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { process, folder })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may have gone already; what is left is in the folder for temporary files.
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGQUIT);
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder of the newest server that is installed.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    places.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.reverse();
    places.extend(std::env::split_paths(&path));
    places.into_iter().find(|bin| bin.join("postgres").exists() && bin.join("initdb").exists())
}

/// Who nobody is on the outside, when that is not who runs the test.
fn owner() -> Option<u32> {
    in_first_user_namespace().then_some(NOBODY)
}

/// Whether this is the real root, who can become another user; in a user namespace of one user there is none to become.
fn in_first_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    geteuid().is_root() && map.split_whitespace().nth(2).is_some_and(|users| users != "1")
}

/// A program that does not appear as root, and ends with this process.
fn as_nobody(program: &Path) -> Command {
    let id = NOBODY.to_string();
    let mut command;
    if in_first_user_namespace() {
        command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    } else {
        command = Command::new("unshare");
        command.args(["--user", "--map-user", &id, "--map-group", &id, "setpriv"]);
    }
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Asks until the server is up.
async fn connect(world: &World, server: SocketAddr) -> Result<Client, Failure> {
    loop {
        match TcpStream::connect(&world.stack, server).await {
            Ok(stream) => match login(stream).await {
                Ok(client) => return Ok(client),
                // "The database system is starting up".
                Err(error) if error.code().is_some_and(|code| code.code() == "57P03") => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn login(stream: TcpStream) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.user("postgres").password(PASSWORD).dbname("postgres");
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    // Its errors reach whoever waits for an answer.
    tokio::spawn(connection);
    Ok(client)
}

/// Logs in, writes a table through one connection and reads it, 20 MB, through another.
pub(crate) async fn queries(world: Arc<World>) -> CaseResult {
    let address = SocketAddr::new(world.kernel_ip(), PORT);
    let _server = Server::start(address, world.stack_ip())?;
    let writer = connect(&world, address).await?;
    writer.batch_execute("CREATE TABLE numbers (n int PRIMARY KEY, text text NOT NULL)").await?;
    let insert = writer.prepare("INSERT INTO numbers VALUES ($1, repeat(chr(65 + $1 % 26), 1000))").await?;
    // All at once: they are sent without waiting for each other's answers.
    let inserted = (0..500_i32).map(|n| {
        let (writer, insert) = (&writer, &insert);
        async move { writer.execute(insert, &[&n]).await }
    });
    try_join_all(inserted).await?;
    let rest = format!(
        "INSERT INTO numbers SELECT n, repeat(chr(65 + n % 26), 1000) FROM generate_series(500, {}) n",
        ROWS - 1
    );
    writer.batch_execute(&rest).await?;

    let reader = connect(&world, address).await?;
    let table = reader.query("SELECT n, text FROM numbers ORDER BY n", &[]).await?;
    ensure!(table.len() == ROWS as usize, "{} rows", table.len());
    for (expected, row) in (0..).zip(&table) {
        let (n, text): (i32, &str) = (row.get(0), row.get(1));
        let letter = char::from(b'A' + (expected % 26) as u8);
        ensure!(n == expected && text.len() == 1000, "row {expected} is {n}, of {} letters", text.len());
        ensure!(text.chars().all(|c| c == letter), "row {expected} has other letters");
    }
    let failed = reader.query("SELECT 1 / 0", &[]).await;
    let code = failed.err().and_then(|error| error.code().cloned());
    ensure!(code.is_some_and(|code| code.code() == "22012"), "the server's error comes through");
    Ok(())
}
