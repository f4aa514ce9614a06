use expect_test::expect;
use froben_circuits::config::{Challenge, Val, permutation};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_symmetric::Permutation;

use super::*;

/// A circuit with every kind of operation, and inputs that meet it.
pub(crate) fn every_operation() -> (Circuit, Vec<Challenge>) {
    let mut b = Builder::new();
    b.part("arithmetic");
    let [x, y] = [b.input(), b.input()];
    let product = b.mul(x, y);
    let inverse = b.inverse(product);
    let seven = b.base_constant(Val::from_u8(7));
    let extension = b.constant(element(100));
    let sum = b.sum(
        [(inverse, Val::TWO), (x, Val::ONE), (y, Val::NEG_ONE)],
        Val::ONE,
    );
    let fused = b.fused(sum, extension, seven);
    let again = b.input();
    b.assert_equal(fused, again);

    b.part("bits");
    let packed = b.input();
    let [first, second, ..] = b.entries(packed);
    let bits = b.bits(first);
    let chosen = b.select(bits[3], x, y);
    b.assert_bit(bits[0]);
    let turned = b.pack([second, first, second, bits[1]]);

    b.part("hashing");
    let state = b.permute_tagged([packed, x, y, turned], Val::from_u8(5));
    let sibling = b.input_digest();
    let parent = b.merkle_step([state[0], state[1]], bits[0], sibling);
    let sibling = b.input_digest();
    let parent = b.merkle_step(parent, bits[1], sibling);

    b.part("polynomials");
    let packs = [
        x, y, packed, state[0], state[1], state[2], parent[0], parent[1],
    ];
    let value = b.horner(sum, packs, chosen);
    let list = b.list(&[value, x, chosen, y]);
    let position = b.number(&bits[..2]);
    let member = b.choose(list, position);
    let row = b.hint_insert(value, &[x, y, packed], &bits[..2]);
    let insert = b.list(&row);
    let inserted = b.choose(insert, position);
    b.assert_equal(inserted, value);
    let whole = b.polynomial(&[value, x, sum, packed, state[3], y], chosen);
    let total = b.add(whole, value);
    b.publish(&[member, value, parent[0], total]);

    let [x, y, packed] = [
        element(1),
        element(2),
        pack([9, 10, 11, 12].map(Val::from_u32)),
    ];
    let sum = (x * y).inverse() * Val::TWO + x - y + Challenge::ONE;
    let fused = sum * element(100) + Challenge::from(Val::from_u8(7));
    let siblings = [5, 6, 7, 8].map(element);
    (b.finish(), [&[x, y, fused, packed][..], &siblings].concat())
}

pub(crate) fn element(seed: u32) -> Challenge {
    pack([1, 2, 3, 4].map(|k| Val::from_u32(seed * 1_000_003 + k * 77)))
}

fn verdict(inputs: &[Challenge]) -> String {
    let (circuit, _) = every_operation();
    match circuit.run(inputs) {
        Ok(_) => "holds".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_circuit_holds_for_the_inputs_that_meet_it() {
    let (circuit, inputs) = every_operation();
    let values = circuit.run(&inputs).expect("meets it");
    assert_eq!(values.len(), circuit.wires());
    let publics = circuit.public_values(&values);
    assert_eq!(publics.len(), PUBLIC_WIRES * PACK);
    assert!(publics[4 * PACK..].iter().all(|value| value.is_zero()));
}

#[test]
fn inputs_that_do_not_meet_it_are_named_by_part() {
    let (_, inputs) = every_operation();
    let with = |place: usize, value: Challenge| {
        let mut inputs = inputs.clone();
        inputs[place] = value;
        inputs
    };
    expect!["arithmetic: an equality does not hold"].assert_eq(&verdict(&with(2, element(3))));
    expect!["arithmetic: an equality does not hold"].assert_eq(&verdict(&with(0, Challenge::ZERO)));
}

#[test]
fn arithmetic_is_the_fields() {
    let mut b = Builder::new();
    let [x, y, z] = [b.input(), b.input(), b.input()];
    let three = b.base_constant(Val::from_u8(3));
    let made = [
        b.add(x, y),
        b.sub(x, y),
        b.mul(x, y),
        b.scale(x, Val::from_u8(5)),
        b.add_constant(x, Val::from_u8(5)),
        b.sum(
            [(x, Val::TWO), (three, Val::TWO), (y, Val::NEG_ONE)],
            Val::ONE,
        ),
        b.fused(x, y, z),
        b.mul_add(three, x, Val::TWO, Some((y, Val::TWO)), Val::ONE),
        b.step((x, Val::TWO), (y, Val::from_u8(5)), Some((z, Val::NEG_ONE))),
        b.inverse(x),
        b.power_of_two(x, 3),
    ];
    b.publish(&made);
    let [x, y, z] = [element(1), element(2), element(3)];
    let five = Val::from_u8(5);
    let six = Challenge::from(Val::from_u8(6));
    let want = [
        x + y,
        x - y,
        x * y,
        x * five,
        x + Challenge::from(five),
        x * Val::TWO + six - y + Challenge::ONE,
        x * y + z,
        x * six.double().halve() + y * Val::TWO + Challenge::ONE,
        x * y * five + x * Val::TWO - z,
        x.inverse(),
        x.exp_u64(8),
    ];
    let circuit = b.finish();
    let values = circuit.run(&[x, y, z]).expect("nothing is asserted");
    for (wire, want) in circuit.publics().iter().zip(want) {
        assert_eq!(values[wire.index()], want, "{wire}");
    }
}

#[test]
fn horner_is_the_polynomial() {
    let mut b = Builder::new();
    let packs = b.input_vec(11);
    let point = b.input();
    let value = b.horner_all(&packs, point);
    b.publish(&[value]);
    let circuit = b.finish();
    let inputs: Vec<_> = (0..12).map(element).collect();
    let values = circuit.run(&inputs).expect("nothing is asserted");
    let point = inputs[11];
    let want = inputs[..11]
        .iter()
        .flat_map(|&pack| coefficients(pack))
        .rev()
        .fold(Challenge::ZERO, |acc, c| acc * point + Challenge::from(c));
    assert_eq!(values[circuit.publics()[0].index()], want);
}

#[test]
fn a_polynomial_has_whole_coefficients() {
    for count in 0..30 {
        let mut b = Builder::new();
        let point = b.input();
        let coefficients = b.input_vec(count);
        let value = b.polynomial(&coefficients, point);
        b.publish(&[value]);
        let circuit = b.finish();
        let inputs: Vec<_> = (0..=count as u32).map(element).collect();
        let values = circuit.run(&inputs).expect("nothing is asserted");
        let step = |acc, &coefficient: &Challenge| acc * inputs[0] + coefficient;
        let want = inputs[1..].iter().rev().fold(Challenge::ZERO, step);
        let made = values[circuit.publics()[0].index()];
        assert_eq!(made, want, "{count} coefficients");
    }
}

#[test]
fn bits_are_canonical() {
    let mut b = Builder::new();
    let x = b.input();
    let bits = b.bits(x);
    let number = b.number(&bits[..20]);
    b.publish(&[number]);
    let circuit = b.finish();
    let order = 0x7800_0001_u32;
    for value in [
        0,
        1,
        2,
        order - 1,
        1 << 27,
        (1 << 27) - 1,
        order - (1 << 27),
        0x1234_5678,
    ] {
        let values = circuit
            .run(&[Challenge::from(Val::from_u32(value))])
            .expect("canonical");
        let low = Challenge::from(Val::from_u32(value & 0xf_ffff));
        assert_eq!(values[circuit.publics()[0].index()], low, "{value}");
    }
    let error = circuit
        .run(&[element(1)])
        .expect_err("an extension element is no base element");
    expect!["the circuit: an equality does not hold"].assert_eq(&error.to_string());
}

#[test]
fn the_permutation_is_the_proof_systems() {
    let mut b = Builder::new();
    let input: [Wire; 4] = std::array::from_fn(|_| b.input());
    let output = b.permute(input);
    let tagged = b.permute_tagged(input, Val::from_u8(7));
    b.publish(&output);
    b.publish(&tagged);
    let circuit = b.finish();
    let inputs: Vec<_> = (0..4).map(element).collect();
    let values = circuit.run(&inputs).expect("nothing is asserted");
    let state: Vec<Val> = inputs.iter().flat_map(|&pack| coefficients(pack)).collect();
    let mut state = state.try_into().expect("16 elements");
    let publics = circuit.public_values(&values);
    assert_eq!(publics[..16], permutation().permute(state));
    state[CAPACITY] += Val::from_u8(7);
    assert_eq!(publics[16..32], permutation().permute(state));
}

/// A challenge below 2^27 - 1 has a second reading in 31 bits: itself and the characteristic.
#[test]
fn a_second_reading_of_a_number_is_refused() {
    let mut b = Builder::new();
    let x = b.input();
    b.bits(x);
    let circuit = b.finish();
    let second_reading = |hint: &Hint, values: &mut super::run::Values| match hint {
        Hint::Bits { of, packs } => {
            let number = coefficients(values.get(*of))[0].as_canonical_u32() + Val::ORDER_U32;
            for (i, &wire) in packs.iter().enumerate() {
                let bit = |k: usize| Val::from_bool(number >> (PACK * i + k) & 1 == 1);
                values.set(wire, pack(std::array::from_fn(bit)));
            }
        }
        hint => hint.give(values),
    };
    for value in [0, 5, (1 << 27) - 2] {
        let inputs = [Challenge::from(Val::from_u32(value))];
        assert!(circuit.run(&inputs).is_ok());
        assert!(
            circuit.run_with(&inputs, second_reading).is_err(),
            "{value}"
        );
    }
}
