//! What the applications of both ends did, and whether it balances.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::talk::{Ended, Moved};
use crate::world::{CaseResult, ensure};

/// What one kind of application did.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) opened: u64,
    pub(super) refused: u64,
    whole: u64,
    cut: u64,
    moved: Moved,
    /// What should not have happened.
    failures: Vec<String>,
}

/// The sum of one kind of application; clones are of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Account(Arc<Mutex<Sum>>);

impl Account {
    fn lock(&self) -> MutexGuard<'_, Sum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sum(&self) -> Sum {
        self.lock().clone()
    }

    pub(super) fn opened(&self) {
        self.lock().opened += 1;
    }

    pub(super) fn refused(&self) {
        self.lock().refused += 1;
    }

    pub(super) fn failed(&self, what: String) {
        self.lock().failures.push(what);
    }

    /// A connection that was opened is over.
    pub(super) fn ended(&self, how: io::Result<Ended>) {
        let mut sum = self.lock();
        match how {
            Ok(Ended::Whole(moved)) => {
                sum.whole += 1;
                sum.moved.read += moved.read;
                sum.moved.written += moved.written;
            }
            Ok(Ended::Cut) => sum.cut += 1,
            Err(error) => sum.failures.push(format!("{:?}: {error}", error.kind())),
        }
    }
}

/// All four accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) stack_client: Account,
    pub(super) kernel_server: Account,
    pub(super) kernel_client: Account,
    pub(super) stack_server: Account,
}

impl Ledger {
    fn all(&self) -> [(&'static str, &Account); 4] {
        [
            ("stack to kernel, client", &self.stack_client),
            ("stack to kernel, server", &self.kernel_server),
            ("kernel to stack, client", &self.kernel_client),
            ("kernel to stack, server", &self.stack_server),
        ]
    }

    /// Whether every connection that was opened has ended.
    pub(super) fn is_over(&self) -> bool {
        self.all().iter().all(|(_, account)| {
            let sum = account.lock();
            sum.opened <= sum.whole + sum.cut + sum.failures.len() as u64
        })
    }

    pub(super) fn print(&self) {
        for (name, account) in self.all() {
            let Sum { opened, refused, whole, cut, moved, failures } = account.sum();
            let failed = failures.len();
            eprintln!(
                "{name}: {opened} opened: {whole} whole, {cut} cut off, {failed} failed; {refused} refused; {moved:?}"
            );
        }
    }

    /// As many connections have ended as began, and what the one end has sent the other has received.
    pub(super) fn balance(&self) -> CaseResult {
        for (name, account) in self.all() {
            let Sum { opened, refused, whole, cut, moved, failures } = account.sum();
            ensure!(
                failures.is_empty(),
                "{name}: {} failures, such as {:?}",
                failures.len(),
                &failures[..failures.len().min(5)]
            );
            ensure!(opened == whole + cut, "{name}: {opened} opened, {whole} whole, {cut} cut off");
            ensure!(
                whole > 0 && cut > 0 && moved.read > 0 && moved.written > 0,
                "{name}: something never happened"
            );
            ensure!((refused > 0) == name.ends_with("client"), "{name}: {refused} refused");
        }
        for (name, client, server) in [
            ("stack to kernel", &self.stack_client, &self.kernel_server),
            ("kernel to stack", &self.kernel_client, &self.stack_server),
        ] {
            let (client, server) = (client.sum(), server.sum());
            // A reset that comes before the application has accepted it ends a connection that the server never saw.
            let unseen = client.opened.checked_sub(server.opened);
            ensure!(unseen.is_some_and(|unseen| unseen <= client.cut), "{name}: {client:?} {server:?}");
            ensure!(
                client.whole == server.whole,
                "{name}: {} whole there, {} here",
                client.whole,
                server.whole
            );
            let (there, back) =
                ((client.moved.written, server.moved.read), (server.moved.written, client.moved.read));
            ensure!(there.0 == there.1, "{name}: of {} octets sent by the client {} came", there.0, there.1);
            ensure!(back.0 == back.1, "{name}: of {} octets sent by the server {} came", back.0, back.1);
        }
        Ok(())
    }
}
