//! A TCP connection that comes about.

use super::Run;
use kernel::SocketId;
use kernel::socket::{Errno, TcpStatus};
use std::net::Ipv4Addr;

/// `connect()` without waiting; an unspecified address or port 0 is chosen by the kernel.
pub(super) fn begin(
    run: &mut Run<'_, '_>,
    local: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
) -> Result<SocketId, Errno> {
    let socket = run.kernel(|ns, kcx| ns.tcp_connect(local, to, kcx)).unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(socket)
}

/// Whether it stands; `None` while nobody knows. A socket that has failed is gone.
pub(super) fn stands(run: &mut Run<'_, '_>, socket: SocketId) -> Option<Result<(), Errno>> {
    let status = run.kernel(|ns, _| ns.tcp_info(socket)).flatten().map(|(s, ..)| s);
    let error = match status {
        Some(TcpStatus::SynSent) => return None,
        Some(TcpStatus::Close) | None => run.kernel(|ns, _| ns.take_error(socket)).flatten().map(|e| e.errno),
        // A careful program asks SO_ERROR whether connect() succeeded.
        Some(_) => match run.kernel(|ns, _| ns.tcp_so_error(socket)).flatten() {
            None => return Some(Ok(())),
            error => error,
        },
    };
    run.close_tcp(socket);
    Some(Err(error.unwrap_or(Errno::ETIMEDOUT)))
}
