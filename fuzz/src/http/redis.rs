//! As much of a Redis as the components use.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
};

use super::dependencies::Dependencies;

pub fn serve(stream: TcpStream, dependencies: &Dependencies) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    loop {
        let words = command(&mut input)?;
        output.write_all(&answer(&words, dependencies))?;
    }
}

fn answer(words: &[Vec<u8>], dependencies: &Dependencies) -> Vec<u8> {
    let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match name.as_slice() {
        b"GET" => dependencies.get().cache.map_or_else(|| b"$-1\r\n".to_vec(), |value| bulk(&value)),
        b"LPOP" => {
            let count =
                words.get(2).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok()).unwrap_or(1);
            let entries: Vec<Vec<u8>> =
                dependencies.get().pool.iter().take(count).map(|entry| bulk(entry)).collect();
            if entries.is_empty() {
                return b"*-1\r\n".to_vec();
            }
            [format!("*{}\r\n", entries.len()).into_bytes(), entries.concat()].concat()
        }
        b"LLEN" => format!(":{}\r\n", dependencies.get().pool.len()).into_bytes(),
        b"SET" => {
            if let [_, key, value, ..] = words {
                dependencies.cache(key.clone(), value.clone());
            }
            b"+OK\r\n".to_vec()
        }
        b"PING" => b"+PONG\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    }
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn command(input: &mut impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let count = length(input, '*')?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; length(input, '$')?];
            input.read_exact(&mut word)?;
            input.read_exact(&mut [0; 2])?;
            Ok(word)
        })
        .collect()
}

fn length(input: &mut impl BufRead, kind: char) -> io::Result<usize> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let length = line.strip_prefix(kind).and_then(|length| length.trim().parse().ok());
    length.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
