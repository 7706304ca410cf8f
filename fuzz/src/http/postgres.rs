//! As much of a Postgres as the components use: any user may log in, statements are told apart by a word in them.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
};

use super::{
    case::Rows,
    dependencies::{Created, Dependencies},
};

const TEXT: u32 = 25;
const BOOL: u32 = 16;
const INT4: u32 = 23;
const INT8: u32 = 20;
const TEXT_ARRAY: u32 = 1009;
const READY: &[u8] = b"Z\0\0\0\x05I";

/// The statements of the components, as far as their answers differ.
#[derive(Clone, Copy)]
enum Statement {
    Create,
    Resolve,
    /// One row without columns.
    Other,
}

pub fn serve(stream: TcpStream, dependencies: &Dependencies) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    // The greeting has a length and no kind; what it says makes no difference.
    let length = number(&mut input)?;
    body(&mut input, length)?;
    output.write_all(&[&message(b'R', &0_u32.to_be_bytes())[..], READY].concat())?;
    let mut statement = Statement::Other;
    let (mut answer, mut bound) = (Vec::new(), Vec::new());
    loop {
        let mut kind = [0];
        input.read_exact(&mut kind)?;
        let length = number(&mut input)?;
        let content = body(&mut input, length)?;
        match kind[0] {
            b'P' => {
                statement = told_apart(&content);
                answer.extend(message(b'1', &[]));
            }
            b'D' => answer.extend(description(statement)),
            b'B' => {
                bound = content;
                answer.extend(message(b'2', &[]));
            }
            b'E' => {
                let rows = dependencies.get().rows;
                // A row says that the link was created.
                if matches!(statement, Statement::Create)
                    && rows.as_ref().is_some_and(|rows| rows.failure().is_none() && rows.count() > 0)
                {
                    dependencies.create(vec![link(&bound).expect("parameters as they were described")]);
                }
                answer.extend(result(statement, rows.as_ref()));
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

fn told_apart(parse: &[u8]) -> Statement {
    let text = String::from_utf8_lossy(parse);
    if text.contains("create_short_link(") {
        Statement::Create
    } else if text.contains("resolve_short_links(") {
        Statement::Resolve
    } else {
        Statement::Other
    }
}

fn description(statement: Statement) -> Vec<u8> {
    let (parameters, column) = match statement {
        Statement::Create => (&[TEXT, TEXT, INT8, BOOL, INT4, INT4][..], None),
        Statement::Resolve => (&[TEXT_ARRAY][..], Some(TEXT_ARRAY)),
        Statement::Other => (&[][..], None),
    };
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

fn result(statement: Statement, rows: Option<&Rows>) -> Vec<u8> {
    let Some(rows) = rows else { return complete(1) };
    if let Some(code) = rows.failure() {
        let fields = format!("SERROR\0VERROR\0C{code}\0Mat 127.0.0.1, in select short_link\0\0");
        return message(b'E', fields.as_bytes());
    }
    if let Statement::Create = statement {
        // The rows themselves are nothing that anybody looks at.
        return complete(rows.count());
    }
    if rows.is_none() {
        return complete(0);
    }
    let column = match statement {
        Statement::Resolve => {
            array(TEXT, rows.texts().into_iter().map(|text| text.map(String::into_bytes)).collect())
        }
        Statement::Create | Statement::Other => return [message(b'D', &two_bytes(0)), complete(1)].concat(),
    };
    let row = [two_bytes(1), four_bytes(column.len()), column].concat();
    [message(b'D', &row), complete(1)].concat()
}

/// The link in the parameters of a create, from a `Bind` message.
fn link(bind: &[u8]) -> Option<Created> {
    // Behind the names of portal and statement: formats, two bytes each, and parameters, four bytes of length each.
    let mut rest = bind.splitn(3, |byte| *byte == 0).nth(2)?;
    for _ in 0..u16::from_be_bytes(take(&mut rest)?) {
        take::<2>(&mut rest)?;
    }
    take::<2>(&mut rest)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (code, url) = (text(value(&mut rest)?)?, text(value(&mut rest)?)?);
    let expires_at = i64::from_be_bytes(take(&mut value(&mut rest)?)?);
    Some(Created { code, url, expires_at })
}

/// What stands behind its length.
fn value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(bytes)?);
    bytes.split_off(..usize::try_from(length).ok()?)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn array(element: u32, elements: Vec<Option<Vec<u8>>>) -> Vec<u8> {
    let has_nulls = u32::from(elements.contains(&None));
    let mut array = [1, has_nulls, element].map(u32::to_be_bytes).concat();
    array.extend([four_bytes(elements.len()), four_bytes(1)].concat());
    for element in elements {
        match element {
            Some(bytes) => array.extend([four_bytes(bytes.len()), bytes].concat()),
            None => array.extend((-1_i32).to_be_bytes()),
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
