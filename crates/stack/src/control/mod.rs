//! A window into a running stack: its connections on a Unix socket, in the manner of `ss -tin`. Feature `control`.
//!
//! Off unless a program calls [`serve`]. Whoever connects is told the connections as text, and the socket is closed; nothing is
//! read from it and nothing can be changed through it. `netstack ss --control PATH` shows it, and so does `nc -U PATH`.

mod text;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::debug;

use crate::stack::{Inner, Stack};

/// How long a client may take to read, before the next one has its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// After an error of accepting, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// Answers on a Unix socket until it is dropped, or the stack is gone: then the socket's file is removed.
///
/// It does not keep the stack alive.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

/// Tells whoever connects to the Unix socket at `path` the connections of `stack`. Only the user that runs the program may
/// connect. The file of a socket that nobody listens on any more is replaced.
///
/// # Errors
///
/// [`AddrInUse`](io::ErrorKind::AddrInUse): somebody listens there, or the path is another kind of file; else what the system
/// says of binding it.
///
/// # Panics
///
/// Outside a Tokio runtime with I/O enabled.
///
/// # Examples
///
/// ```no_run
/// # fn f(stack: &tokio_netstack::Stack) -> std::io::Result<()> {
/// let control = tokio_netstack::control::serve(stack, "/run/echo.sock")?;
/// // $ netstack ss --control /run/echo.sock
/// # drop(control);
/// # Ok(())
/// # }
/// ```
pub fn serve(stack: &Stack, path: impl AsRef<Path>) -> io::Result<Control> {
    let path = path.as_ref().to_owned();
    let listener = bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(answer(listener, Arc::downgrade(&stack.inner)));
    Ok(Control { path, task })
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }
}

/// Whether it is a socket on which nobody listens.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && StdStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

async fn answer(listener: UnixListener, inner: Weak<Inner>) {
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                debug!(%error, "the control socket cannot accept");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Some(inner) = inner.upgrade() else { return };
        let stack = Stack { inner };
        if tokio::time::timeout(PATIENCE, tell(client, stack)).await.is_err() {
            debug!("a client of the control socket takes too long");
        }
    }
}

async fn tell(mut client: UnixStream, stack: Stack) {
    let text = text::connections(&stack).await;
    // It must not outlive its last owner by a slow reader.
    drop(stack);
    // One that has gone away has no further questions.
    let _ = client.write_all(text.as_bytes()).await;
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Gone already, perhaps.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
