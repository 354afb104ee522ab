//! Servers of a few lines.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Serves every connection with this, one task each, until the test ends.
pub(super) async fn serve<F, S>(address: &str, serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    serve_on(TcpListener::bind(address).await.unwrap(), serve)
}

/// The same on a listener that is there already.
pub(super) fn serve_on<F, S>(listener: TcpListener, serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers every request with these bytes and closes.
pub(super) async fn answering(reply: &'static [u8]) -> SocketAddr {
    serve("127.0.0.1:0", move |mut stream| async move {
        head(&mut stream).await;
        // The prober may have gone.
        let _ = stream.write_all(reply).await;
    })
    .await
}

/// Answers with these bytes and then goes on with the other ones as long as somebody takes them.
pub(super) async fn flooding(reply: &'static [u8], more: &'static [u8]) -> SocketAddr {
    serve("127.0.0.1:0", move |mut stream| async move {
        head(&mut stream).await;
        let mut sent = stream.write_all(reply).await;
        while sent.is_ok() {
            sent = stream.write_all(more).await;
        }
    })
    .await
}

/// Reads the head of a request.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A port of both families of `localhost` that is ours. Nobody listens as long as the sockets are only bound, and nobody else
/// can.
pub(super) struct Reserved {
    pub(super) four: TcpSocket,
    pub(super) six: TcpSocket,
    pub(super) port: u16,
}

/// Reserves a port.
pub(super) fn reserve() -> Reserved {
    loop {
        let four = TcpSocket::new_v4().unwrap();
        four.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = four.local_addr().unwrap().port();
        let six = TcpSocket::new_v6().unwrap();
        if six.bind((Ipv6Addr::LOCALHOST, port).into()).is_ok() {
            return Reserved { four, six, port };
        }
    }
}
