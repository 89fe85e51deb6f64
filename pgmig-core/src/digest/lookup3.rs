//! PostgreSQL's hash functions, as its `hashtextextended` and `hashint8extended` compute them on little-endian machines
//! (Bob Jenkins's lookup3, in `common/hashfn.c`).

const START: u32 = 0x9e37_79b9;
const INITIAL: u32 = 3_923_095;

/// Hashes bytes, with seed 0.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    // The server cuts the length, too; a value has less than 1 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let start = START.wrapping_add(length).wrapping_add(INITIAL);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut blocks = bytes.chunks_exact(12);
    for block in &mut blocks {
        a = a.wrapping_add(word(block, 0));
        b = b.wrapping_add(word(block, 4));
        c = c.wrapping_add(word(block, 8));
        (a, b, c) = mix(a, b, c);
    }
    let rest = blocks.remainder();
    a = a.wrapping_add(word(rest, 0));
    b = b.wrapping_add(word(rest, 4));
    // The lowest byte of `c` is that of the length.
    c = c.wrapping_add(word(rest, 8) << 8);
    finish(a, b, c)
}

/// Hashes a number, with another hash as the seed.
pub(super) fn hash_int8(number: u64, seed: u64) -> u64 {
    let [low, high] = halves(number);
    let folded = low ^ if number >> 63 == 0 { high } else { !high };
    let start = START.wrapping_add(4).wrapping_add(INITIAL);
    let (mut a, mut b, mut c) = (start, start, start);
    if seed != 0 {
        let [low, high] = halves(seed);
        (a, b, c) = mix(a.wrapping_add(high), b.wrapping_add(low), c);
    }
    a = a.wrapping_add(folded);
    finish(a, b, c)
}

/// The low and the high half.
fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Up to four bytes from this place on; those that are missing are zero.
fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk::<4>() {
        Some(word) => u32::from_le_bytes(*word),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)),
    }
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

fn finish(mut a: u32, mut b: u32, mut c: u32) -> u64 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    u64::from(b) << 32 | u64::from(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 says: `SELECT hashtextextended(left('0123456789abcdefghijklmnopqrstuvwxyz', n), 0)`.
    const TEXTS: &[(usize, i64)] = &[
        (0, -6939563903564495251),
        (1, 2234665679637250028),
        (2, 1997417108698746027),
        (3, 4719714554116711620),
        (4, 2979314055664268724),
        (5, 2800302940355005254),
        (6, 6175594971869799145),
        (7, 8550484514636532095),
        (8, 2898426038703043638),
        (9, 9090347084501949878),
        (10, -3778403198889400811),
        (11, -2337649911100070775),
        (12, -300982144080685429),
        (13, 4688655838450958077),
        (14, 7384893512659999715),
        (15, 2436259429314518014),
        (16, -8138476988306395299),
        (17, 3867183265525357193),
        (18, -576478513425833958),
        (19, 8204835176327800822),
        (20, -8382056185395640245),
        (21, 2163959902772420482),
        (22, -1354784642855662079),
        (23, 4739925564919238393),
        (24, 6260941006295183541),
        (25, -2015381710355490121),
        (26, 1510207650881699157),
        (27, 7396804548901188501),
        (28, -915902760586697640),
        (29, -246635775155469071),
        (30, -7869520564089288350),
        (31, -7391076876207917315),
        (32, -714372453522603133),
        (33, -3787419154109005392),
        (34, 6080530551913814083),
        (35, 2588744375697241866),
        (36, 2599983508539421163),
    ];

    /// `SELECT hashint8extended(number, seed)`.
    const NUMBERS: &[(i64, i64, i64)] = &[
        (0, 0, 4154612158245552303),
        (1, 0, -3670598878359251130),
        (-1, 0, -1888257769727981238),
        (4294967296, 0, -3670598878359251130),
        (-4294967297, 0, 495194309054116481),
        (9223372036854775807, 0, 1977219185673256887),
        (-9223372036854775807, 0, 1352946186504680594),
        (0, 1, 434346878670890809),
        (-1, 1, 3987656643895367148),
        (-4294967297, 1, -1813712187832781703),
        (-9223372036854775807, 1, -3818052789071225558),
        (0, -1, -4140905993450701875),
        (-1, -1, 6481520839006961279),
        (9223372036854775807, -1, 6110074166949006181),
        (0, 81985529216486895, -9056972805875950176),
        (-1, 81985529216486895, -5497670744723922960),
        (9223372036854775807, 81985529216486895, -2589617623708073286),
    ];

    #[test]
    fn texts_have_the_servers_hashes() {
        assert!(TEXTS.len() > 20);
        for (length, hash) in TEXTS {
            let text = &"0123456789abcdefghijklmnopqrstuvwxyz"[..*length];
            assert_eq!(hash_bytes(text.as_bytes()).cast_signed(), *hash, "{length}");
        }
    }

    #[test]
    fn numbers_have_the_servers_hashes() {
        assert!(NUMBERS.len() > 10);
        for (number, seed, hash) in NUMBERS {
            assert_eq!(
                hash_int8(number.cast_unsigned(), seed.cast_unsigned()).cast_signed(),
                *hash,
                "{number} {seed}"
            );
        }
    }
}
