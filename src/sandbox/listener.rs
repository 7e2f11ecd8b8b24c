//! A listener that can go away and come back on the same port, cutting the connections it has.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::faults::Down;

/// Listens while the forge is not [`Down::Refused`].
#[derive(Debug)]
pub struct Switched {
    address: SocketAddr,
    listener: Option<TcpListener>,
    down: watch::Receiver<Down>,
}

impl Switched {
    /// Wraps a bound listener.
    pub fn new(listener: TcpListener, down: watch::Receiver<Down>) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            down,
        })
    }
}

impl axum::serve::Listener for Switched {
    type Io = Cut;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cut, SocketAddr) {
        loop {
            if *self.down.borrow_and_update() == Down::Refused {
                self.listener = None;
                if self.down.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if self.listener.is_none() {
                self.listener = TcpListener::bind(self.address).await.ok();
            }
            let Some(listener) = &self.listener else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => return (Cut { stream, down: self.down.clone() }, address),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                _ = self.down.changed() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection that breaks while the forge refuses connections.
#[derive(Debug)]
pub struct Cut {
    stream: TcpStream,
    down: watch::Receiver<Down>,
}

impl Cut {
    fn check(&self) -> io::Result<()> {
        match *self.down.borrow() {
            Down::Refused => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        // What arrived on a kept connection just when the switch was thrown is lost as well.
        self.check()?;
        read
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
