//! Servers of a few lines.

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves every connection with this, one task each, until the test ends.
pub(super) async fn serve<F, S>(address: &str, serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
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

/// An address at which nothing listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
