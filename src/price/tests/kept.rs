//! Terms that were written down charge as those they were made of.

use super::*;

#[test]
fn terms_that_were_written_down_charge_the_same() {
    let rows = [
        "per: 1M tokens, input: 4, output: 16",
        "per: 1K tokens, input: 0.0003, cached_input: 0.00007, reasoning: 0.05, output: 0.01, \
         tiers: [{ above_input_tokens: 100, input: 0.0009 }, { above_input_tokens: 1000, output: 0.7 }], \
         hours: [{ from: \"00:00\", to: \"24:00\", times: 0.5 }]",
        "free: true",
    ];
    let usages = [
        Usage::tokens(7, 3),
        Usage::tokens(101, 9).with(Meter::CachedInput, 50),
        Usage::tokens(5_000, 70).with(Meter::Reasoning, 11),
    ];
    let took = FreeUnits {
        tokens: 40,
        ..FreeUnits::default()
    };
    let multiplier: Factor = "1.25".parse().expect("a factor");
    for row in rows {
        let terms = chat(row).terms(START, multiplier, worst(6_000, 100, 100));
        let text = serde_json::to_string(&terms.keep()).expect("JSON");
        let kept: KeptTerms = serde_json::from_str(&text).expect("what was written");
        let read = kept.terms(Category::Chat);
        for usage in &usages {
            let charge = |terms: &Terms| terms.charge(usage, &took, &ImageShape::default());
            assert_eq!(charge(&read), charge(&terms), "{row}");
        }
        assert_eq!(read.quote().ok(), terms.quote().ok(), "{row}");
    }
}
