use std::io::ErrorKind;

use paramedic_integration::{Address, TcpTransport, Transport};
use paramedic_model::Secret;
use paramedic_server::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{TOKEN, World};

/// Runs a test on real sockets, in real time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(test)
}

async fn bind(host: &str, port: u16) -> std::io::Result<Server> {
    let world = World::new().await;
    let listen = Address::new(host, port);
    let options = ServerOptions { listen, ..ServerOptions::new(Secret::new(TOKEN)) };
    Server::bind(world.handle.clone(), world.clock.clone(), options).await
}

/// Sends `head` and reads until the server closes the connection.
pub async fn exchange(address: &Address, head: &str) -> String {
    let mut stream = TcpTransport.connect(address).await.expect("the server listens");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    // A server that refuses what it has not read whole may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn it_serves_until_it_is_dropped() {
    run(async {
        let server = bind("127.0.0.1", 0).await.expect("there is a free port");
        let address = server.address().clone();
        assert_ne!(address.port, 0);
        let running = tokio::spawn(server.run());
        let get =
            |host: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let page = exchange(&address, &get(&address.to_string())).await;
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("Open incidents"), "{page}");
        let foreign = exchange(&address, &get("evil.example")).await;
        assert!(foreign.starts_with("HTTP/1.1 421 Misdirected Request"), "{foreign}");
        let nobody = exchange(&address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
        assert!(nobody.starts_with("HTTP/1.1 421"), "{nobody}");
        let long = get(&"x".repeat(100_000));
        let refused = exchange(&address, &long).await;
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
        running.abort();
        let _ = running.await;
        assert!(TcpTransport.connect(&address).await.is_err());
    });
}

#[test]
fn only_this_machine_is_served() {
    run(async {
        for host in ["0.0.0.0", "::"] {
            let error = bind(host, 0).await.err().expect("it is refused");
            // A machine without IPv6 has no such address at all.
            if error.kind() == ErrorKind::InvalidInput {
                let text = error.to_string();
                assert!(text.contains("can be reached from other machines"), "{text}");
            } else {
                assert_eq!(host, "::", "{error}");
            }
        }
    });
}

#[test]
fn a_taken_address_is_named() {
    run(async {
        let first = bind("127.0.0.1", 0).await.expect("there is a free port");
        let port = first.address().port;
        let error = bind("127.0.0.1", port).await.err().expect("it is taken");
        assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
    });
}
