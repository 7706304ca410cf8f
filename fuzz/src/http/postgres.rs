//! As much of a Postgres as the components use: any user may log in, statements are told apart by a word in them.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
};

use super::{
    dependencies::{Answers, Asked, Dependencies, Parameter},
    keys::{self, Verdict},
    statement::{Statement, TEXT},
};

/// The length of what is null.
const NULL: i32 = -1;
const READY: &[u8] = b"Z\0\0\0\x05I";

pub fn serve(stream: TcpStream, dependencies: &Dependencies) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    // The greeting has a length and no kind; what it says makes no difference.
    let length = number(&mut input)?;
    body(&mut input, length)?;
    output.write_all(&[&message(b'R', &0_u32.to_be_bytes())[..], READY].concat())?;
    let mut statement = Statement::Other;
    let (mut answer, mut parameters) = (Vec::new(), Vec::new());
    loop {
        let mut kind = [0];
        input.read_exact(&mut kind)?;
        let length = number(&mut input)?;
        let content = body(&mut input, length)?;
        match kind[0] {
            b'P' => {
                statement = Statement::read(&String::from_utf8_lossy(&content));
                answer.extend(message(b'1', &[]));
            }
            b'D' => answer.extend(description(statement)),
            b'B' => {
                parameters = bound(&content).expect("a message as the protocol has it");
                answer.extend(message(b'2', &[]));
            }
            b'E' => {
                let asked = Asked { statement, parameters: std::mem::take(&mut parameters) };
                answer.extend(result(&asked, &dependencies.get()));
                dependencies.ask(asked);
            }
            b'C' => answer.extend(message(b'3', &[])),
            b'Q' => answer.extend([&message(b'C', b"DISCARD\0")[..], READY].concat()),
            b'S' => answer.extend(READY),
            b'X' => return Ok(()),
            _ => {}
        }
        if matches!(kind[0], b'Q' | b'S' | b'H') {
            output.write_all(&std::mem::take(&mut answer))?;
        }
    }
}

fn description(statement: Statement) -> Vec<u8> {
    let (parameters, column) = (statement.parameters(), statement.column());
    let mut types = two_bytes(parameters.len());
    parameters.iter().for_each(|parameter| types.extend(parameter.to_be_bytes()));
    let mut columns = two_bytes(usize::from(column.is_some()));
    if let Some(column) = column {
        // A name; no table and no column of one; the type, its size and modifier; binary.
        columns.extend(b"found\0\0\0\0\0\0\0");
        columns.extend(column.to_be_bytes());
        columns.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1]);
    }
    [message(b't', &types), message(b'T', &columns)].concat()
}

fn result(asked: &Asked, answers: &Answers) -> Vec<u8> {
    let rows = match asked.statement {
        Statement::CheckKey => return checked(asked),
        Statement::Resolve => &answers.later,
        _ => &answers.rows,
    };
    let Some(rows) = rows else { return complete(1) };
    if let Some(code) = rows.failure() {
        return failure(code);
    }
    match asked.statement {
        // The rows themselves are nothing that anybody looks at.
        Statement::Create => complete(rows.count()),
        Statement::Resolve | Statement::Other if rows.is_none() => complete(0),
        Statement::Other => [message(b'D', &two_bytes(0)), complete(1)].concat(),
        _ if rows.is_none() => row(None),
        Statement::Delete => row(Some(&[u8::from(rows.count() > 0)])),
        _ => row(Some(&array(&rows.texts()))),
    }
}

fn checked(asked: &Asked) -> Vec<u8> {
    let hash = asked.parameters.first().cloned().flatten().unwrap_or_default();
    match keys::verdict(&hash) {
        None => row(None),
        Some(Verdict::Failure(code)) => failure(code),
        Some(Verdict::Fields(fields)) => {
            let fields: Vec<_> = fields.iter().map(|field| Some((*field).to_owned())).collect();
            row(Some(&array(&fields)))
        }
    }
}

fn failure(code: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0Mat 127.0.0.1, in select short_link\0\0");
    message(b'E', fields.as_bytes())
}

/// One row with one column; `None` is null.
fn row(column: Option<&[u8]>) -> Vec<u8> {
    let value = match column {
        Some(bytes) => [&four_bytes(bytes.len())[..], bytes].concat(),
        None => NULL.to_be_bytes().to_vec(),
    };
    [message(b'D', &[two_bytes(1), value].concat()), complete(1)].concat()
}

/// The parameters in a `Bind` message.
fn bound(bind: &[u8]) -> Option<Vec<Parameter>> {
    // Behind the names of portal and statement: formats, two bytes each, and parameters, four bytes of length each.
    let mut rest = bind.splitn(3, |byte| *byte == 0).nth(2)?;
    for _ in 0..u16::from_be_bytes(take(&mut rest)?) {
        take::<2>(&mut rest)?;
    }
    let count = u16::from_be_bytes(take(&mut rest)?);
    (0..count).map(|_| value(&mut rest)).collect()
}

/// What stands behind its length; null has a length of -1.
fn value(bytes: &mut &[u8]) -> Option<Parameter> {
    let length = i32::from_be_bytes(take(bytes)?);
    if length == NULL {
        return Some(None);
    }
    bytes.split_off(..usize::try_from(length).ok()?).map(|value| Some(value.to_vec()))
}

/// The elements of an array in a parameter.
pub fn elements(array: &[u8]) -> Option<Vec<Parameter>> {
    let mut rest = array;
    let dimensions = u32::from_be_bytes(take(&mut rest)?);
    take::<8>(&mut rest)?;
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let count = u32::from_be_bytes(take(&mut rest)?);
    take::<4>(&mut rest)?;
    (0..count).map(|_| value(&mut rest)).collect()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn array(elements: &[Option<String>]) -> Vec<u8> {
    let has_nulls = u32::from(elements.contains(&None));
    let dimensions = u32::from(!elements.is_empty());
    let mut array = [dimensions, has_nulls, TEXT].map(u32::to_be_bytes).concat();
    if !elements.is_empty() {
        array.extend([four_bytes(elements.len()), four_bytes(1)].concat());
    }
    for element in elements {
        match element {
            Some(text) => array.extend([&four_bytes(text.len())[..], text.as_bytes()].concat()),
            None => array.extend(NULL.to_be_bytes()),
        }
    }
    array
}

fn complete(rows: u64) -> Vec<u8> {
    message(b'C', format!("SELECT {rows}\0").as_bytes())
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &four_bytes(content.len() + 4), content].concat()
}

fn four_bytes(number: usize) -> Vec<u8> {
    u32::try_from(number).expect("inputs are small").to_be_bytes().to_vec()
}

fn two_bytes(number: usize) -> Vec<u8> {
    u16::try_from(number).expect("inputs are small").to_be_bytes().to_vec()
}

fn number(input: &mut impl Read) -> io::Result<usize> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes) as usize)
}

/// The rest of a message whose length counts itself too.
fn body(input: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; length.saturating_sub(4)];
    input.read_exact(&mut content)?;
    Ok(content)
}
