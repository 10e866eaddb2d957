//! Where C compilers put things, where this runs.

use coseg::schema::{Field, Scalar, Struct, Type};

use super::reading::{How, Names, Reading, bit_field, bytes, legend};

/// More bytes than any segment has.
const SIZE_MAX: usize = 1 << 46;
/// Types within types.
const DEPTH_MAX: usize = 32;
/// Fields, those of fields included.
const FIELDS_MAX: usize = 10_000;

/// A type and the multiple at which it begins.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) of: Type,
    pub(super) align: usize,
    pub(super) readings: Vec<Reading>,
    depth: usize,
    field_count: usize,
}

/// A field that is to be laid out.
pub(super) struct Member {
    /// Empty: of a struct or union, its fields are its owner's.
    pub(super) name: String,
    pub(super) laid: Laid,
    /// Of a bit-field.
    pub(super) bit_count: Option<usize>,
}

impl Laid {
    fn new(of: Type, align: usize) -> Laid {
        Laid { of, align, readings: Vec::new(), depth: 1, field_count: 1 }
    }

    pub(super) fn is_pointer(&self) -> bool {
        self.readings.iter().any(Reading::is_of_address)
    }

    fn read(self, how: How) -> Laid {
        Laid { readings: vec![Reading::new(Vec::new(), how)], ..self }
    }
}

pub(super) fn scalar(scalar: Scalar) -> Laid {
    Laid::new(Type::Scalar(scalar), scalar.size_bytes())
}

pub(super) fn pointer() -> Laid {
    scalar(Scalar::U64).read(How::Address)
}

pub(super) fn enumeration(of: Scalar, names: Names) -> Laid {
    scalar(of).read(How::Names(names.into()))
}

/// What pointers may point to.
pub(super) fn void() -> Laid {
    Laid::new(bytes(0), 1)
}

/// A character, and an array of them, is text.
fn character() -> Laid {
    Laid::new(Type::Text { size_bytes: 1 }, 1)
}

/// `None`: it is too large, or nested too deeply.
pub(super) fn array(of: Laid, count: usize) -> Option<Laid> {
    let size_bytes = of.of.size_bytes().checked_mul(count).filter(|&size| size <= SIZE_MAX)?;
    let is_character = of.of == character().of;
    // Of nothing there could be any number.
    if size_bytes == 0 && count > 0 || of.depth >= DEPTH_MAX {
        return None;
    }
    let depth = of.depth + 1;
    let array = match is_character {
        true => Type::Text { size_bytes },
        false => Type::Array { element: Box::new(of.of), count },
    };
    Some(Laid { of: array, depth, ..of })
}

/// A type of words that were sorted.
pub(super) fn arithmetic(words: &[&str]) -> Option<Laid> {
    Some(match words {
        ["char"] => character(),
        ["void"] => void(),
        ["_Bool" | "bool"] => scalar(Scalar::Bool),
        ["float"] => scalar(Scalar::F32),
        ["double"] => scalar(Scalar::F64),
        // Of which no number here has as many bits.
        ["double", "long"] => Laid { align: 16, ..array(scalar(Scalar::U8), 16)? },
        ["char", "signed"] => scalar(Scalar::I8),
        ["char", "unsigned"] => scalar(Scalar::U8),
        ["__int128"] | ["__int128", "signed"] => scalar(Scalar::I128),
        ["__int128", "unsigned"] => scalar(Scalar::U128),
        _ => {
            let count = |word| words.iter().filter(|&&own| own == word).count();
            let known = count("int") + count("long") + count("short") + count("signed") + count("unsigned");
            let signs = count("signed") + count("unsigned");
            if known != words.len() || count("int") > 1 || signs > 1 {
                return None;
            }
            scalar(match (count("short"), count("long"), count("unsigned") == 1) {
                (0, 0, false) => Scalar::I32,
                (0, 0, true) => Scalar::U32,
                (1, 0, false) => Scalar::I16,
                (1, 0, true) => Scalar::U16,
                (0, 1 | 2, false) => Scalar::I64,
                (0, 1 | 2, true) => Scalar::U64,
                _ => return None,
            })
        }
    })
}

/// Types of the standard headers.
pub(super) fn standard(name: &str) -> Option<Laid> {
    Some(scalar(match name {
        "int8_t" => Scalar::I8,
        "uint8_t" | "u_char" => Scalar::U8,
        "int16_t" => Scalar::I16,
        "uint16_t" | "in_port_t" => Scalar::U16,
        "int32_t" | "pid_t" | "key_t" | "wchar_t" | "atomic_int" | "sig_atomic_t" => Scalar::I32,
        "uint32_t" | "uid_t" | "gid_t" | "mode_t" | "in_addr_t" | "u_int" | "atomic_uint" | "uint" => {
            Scalar::U32
        }
        "int64_t" | "time_t" | "off_t" | "ssize_t" | "ptrdiff_t" | "intptr_t" | "suseconds_t"
        | "atomic_long" => Scalar::I64,
        "uint64_t" | "size_t" | "uintptr_t" | "shmatt_t" | "ino_t" | "dev_t" | "u_long" | "atomic_ulong" => {
            Scalar::U64
        }
        "atomic_bool" => Scalar::Bool,
        _ => return None,
    }))
}

/// A struct's or union's layout; `None`: it is too large, or nested too deeply.
pub(super) fn laid_out(name: &str, members: Vec<Member>, is_union: bool, packs: bool) -> Option<Laid> {
    let (mut end_bits, mut size_bytes, mut align) = (0_usize, 0_usize, 1);
    let depth = members.iter().map(|member| member.laid.depth).max().unwrap_or(0) + 1;
    let field_count = members.iter().map(|member| member.laid.field_count).sum::<usize>() + 1;
    if depth > DEPTH_MAX || field_count > FIELDS_MAX {
        return None;
    }
    let (mut fields, mut bit_fields, mut readings) = (Vec::new(), Vec::new(), Vec::new());
    for Member { name, laid, bit_count } in members {
        let own_align = if packs { 1 } else { laid.align };
        let start_bits = if is_union { 0 } else { end_bits };
        let first_bit = match bit_count {
            None => start_bits.div_ceil(8).checked_next_multiple_of(own_align)?.checked_mul(8)?,
            // It lies in one unit of its type, beside others where there is room.
            Some(count) => {
                let unit_bits = laid.of.size_bytes() * 8;
                let crosses = start_bits / unit_bits != (start_bits + count.max(1) - 1) / unit_bits;
                let moves_on = count == 0 || crosses && !packs;
                if moves_on { start_bits.checked_next_multiple_of(unit_bits)? } else { start_bits }
            }
        };
        let own_bits = bit_count.or_else(|| laid.of.size_bytes().checked_mul(8))?;
        end_bits = first_bit.checked_add(own_bits).filter(|&end| end <= SIZE_MAX * 8)?;
        size_bytes = size_bytes.max(end_bits.div_ceil(8));
        let is_padding = bit_count.is_some() && name.is_empty();
        // Bits without a name: not on every processor do they decide where a struct begins.
        if !is_padding || cfg!(target_arch = "aarch64") {
            align = align.max(own_align);
        }
        match (bit_count, laid.of) {
            (Some(count), of) => {
                if !is_padding {
                    bit_fields.push((
                        fields.len() + bit_fields.len(),
                        name,
                        of,
                        first_bit,
                        count,
                        laid.readings,
                    ));
                }
                continue;
            }
            (None, Type::Struct(inner)) if name.is_empty() => {
                let offset = first_bit / 8;
                fields.extend(
                    inner.fields.into_iter().map(|field| Field { offset: offset + field.offset, ..field }),
                );
                readings.extend(laid.readings);
            }
            (None, of) => {
                let doc = legend(&laid.readings, &[]);
                readings.extend(laid.readings.into_iter().map(|reading| reading.inside(&name)));
                fields.push(Field { name, offset: first_bit / 8, of, unit: String::new(), doc });
            }
        }
    }
    let size_bytes = size_bytes.checked_next_multiple_of(align)?;
    for (index, name, of, first_bit, count, own) in bit_fields {
        let (field, how) = bit_field(&name, &of, first_bit, count, size_bytes);
        fields.insert(index, field);
        if let Some(how) = how {
            readings.push(Reading::new(vec![name.clone()], how));
            readings.extend(own.into_iter().map(|reading| reading.inside(&name)));
        }
    }
    let of = Type::Struct(Struct { name: name.to_owned(), size_bytes, fields });
    Some(Laid { of, align, readings, depth, field_count })
}
