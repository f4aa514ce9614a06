//! What the parameters are worth for the example.

use expect_test::expect;
use froben_compress::layer::{Layer, Params};

use crate::example::Example;

#[test]
fn figures() {
    let figures: String = Params::ALL
        .into_iter()
        .map(|params| {
            let layer = Layer::new(params, vec![Example::Steps, Example::Table], vec![6, 7])
                .expect("a layer");
            let security = layer.shape().expect("a shape").security();
            let (conjectured, proven) = (security.conjectured_bits, security.proven_bits);
            format!("{params}: {conjectured} conjectured, {proven} proven\n")
        })
        .collect();
    expect![[r#"
        standard: 102 conjectured, 59 proven
        dev: 2 conjectured, 1 proven
    "#]]
    .assert_eq(&figures);
}
