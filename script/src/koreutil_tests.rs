//! What `koreUtil` lends to scripts.

use super::*;

/// What the script says is JSON.
fn value(source: &str) -> Value {
    let said = said(&format!("say(JSON.stringify({source}))"));
    serde_json::from_str(said[0].as_str().unwrap()).unwrap()
}

#[test]
fn lodash_is_there_with_the_names_of_its_third_release_too() {
    assert_eq!(value("koreUtil._.chunk(['a','b','c','d'], 2)"), json!([["a", "b"], ["c", "d"]]));
    let users = "[{user:'barney',age:36,active:true},{user:'fred',age:40,active:false}]";
    let source = format!("koreUtil._.pluck(koreUtil._.filter({users}, {{age:36}}), 'user')");
    assert_eq!(value(&source), json!(["barney"]));
    let source = format!(
        "[koreUtil._.where({users},{{active:false}}).length, koreUtil._.contains([1,2],2), koreUtil._.padLeft('7',3,'0')]"
    );
    assert_eq!(value(&source), json!([1, true, "007"]));
}

#[test]
fn moment_knows_locales_and_zones() {
    let source = "koreUtil.moment('2019-11-18T01:43:00Z').locale('de').format('LLLL')";
    assert_eq!(value(source), json!("Montag, 18. November 2019 01:43"));
    assert_eq!(value("koreUtil.moment('2019-11-18T01:43:00Z').format('LL')"), "November 18, 2019");
    assert_eq!(value("koreUtil.moment().locale('nowhere').locale()"), json!("en"));
    let june = "koreUtil.moment('2014-06-01T12:00:00Z')";
    let zones = format!(
        "[koreUtil.momenttz({june}, 'America/New_York').format('ha z'), {june}.tz('Asia/Tokyo').format('ha z'),
          koreUtil.moment.tz('2024-01-15 10:00', 'Europe/Zurich').toISOString(), koreUtil.momenttz.tz.zone('Nowhere'),
          koreUtil.momenttz('2024-02-03', 'YYYY-MM-DD').format('D.M.YYYY')]"
    );
    let expected = json!(["8am EDT", "9pm JST", "2024-01-15T09:00:00.000Z", null, "3.2.2024"]);
    assert_eq!(value(&zones), expected);
}

#[test]
fn rules_of_recurrence_are_made_and_read() {
    let source = "(() => { const rule = new koreUtil.rrule({freq: koreUtil.rrule.WEEKLY, interval: 5,
        byweekday: [koreUtil.rrule.MO, koreUtil.rrule.FR], dtstart: new Date(2012, 1, 1, 10, 30), until: new Date(2012, 12, 31)});
        return [rule.between(new Date(2012, 7, 1), new Date(2012, 8, 1)), rule.toText(),
            koreUtil.rrule.rrulestr('FREQ=DAILY;COUNT=2;DTSTART=20240101T000000Z').all().length] })()";
    let dates = ["2012-08-27T10:30:00.000Z", "2012-08-31T10:30:00.000Z"];
    let text = "every 5 weeks on Monday, Friday until January 31, 2013";
    assert_eq!(value(source), json!([dates, text, 2]));
}

#[test]
fn numbers_and_dates_are_written_in_a_language() {
    let table = [
        ("NumberFormat('en-GB').format(123456.789)", "123,456.789"),
        ("NumberFormat('de').format(123456.789)", "123.456,789"),
        (
            "NumberFormat(['de', 'fr']).format(1) + koreUtil.intl.NumberFormat('xx').format(0.5)",
            "10.5",
        ),
        ("NumberFormat('de-LI').format(0.5)", "0,5"),
        ("NumberFormat('xx').format(0.5)", "0.5"),
        ("NumberFormat().format(1000)", "1,000"),
        ("NumberFormat('de-AT', {style:'currency',currency:'EUR'}).format(9.5)", "€\u{a0}9,50"),
        (
            "NumberFormat('fr', {style:'currency',currency:'JPY',currencyDisplay:'name'}).format(2)",
            "2 yens japonais",
        ),
        // No longer in use: its code.
        ("NumberFormat('en', {style:'currency',currency:'DEM'}).format(2)", "DEM\u{a0}2.00"),
        ("NumberFormat('en', {notation:'compact'}).format(12345)", "12K"),
        ("DateTimeFormat('en-US').format(new Date(Date.UTC(2012, 11, 20, 3)))", "12/20/2012"),
        ("DateTimeFormat('de', {dateStyle:'long'}).format(new Date(0))", "1. Januar 1970"),
        ("DateTimeFormat('ja', {hour:'numeric',minute:'numeric'}).format(0)", "0:00"),
        ("DateTimeFormat.supportedLocalesOf(['de-CH', 'tlh']).join()", "de-CH"),
    ];
    for (source, expected) in table {
        assert_eq!(value(&format!("koreUtil.intl.{source}")), json!(expected), "{source}");
        if !source.contains("supported") {
            assert_eq!(value(&format!("new koreUtil.intl.{source}")), json!(expected), "{source}");
        }
    }
}

#[test]
fn xml_is_read_and_written() {
    let source = "(() => { let read; koreUtil.xml2js.parseString('<a b=\"1\"><c>x</c><c>y</c></a>', (e, found) => { read = found });
        return [read, new koreUtil.xml2js.Builder({headless: true, renderOpts: {pretty: false}}).buildObject({p: {name: 'John', age: 23}})] })()";
    let read = json!({"a": {"$": {"b": "1"}, "c": ["x", "y"]}});
    assert_eq!(value(source), json!([read, "<p><name>John</name><age>23</age></p>"]));
    let source = "const found = await koreUtil.xml2js.parseStringPromise('<a>1</a>', {async: true}); say(found.a);
        await koreUtil.xml2js.parseStringPromise('<a>').catch((error) => say(error.message.split('\\n')[0]))";
    assert_eq!(said(source), [json!("1"), json!("Unclosed root tag")]);
}

/// Test vectors of FIPS 180: the empty text and `abc`.
#[test]
fn texts_are_hashed() {
    let source = "['sha1','sha224','sha256','SHA-384','sha512'].map((name) => koreUtil.hash(name).update('a').update('bc').digest('hex').slice(0, 16))";
    let expected = json!([
        "a9993e364706816a",
        "23097d223405d822",
        "ba7816bf8f01cfea",
        "cb00753f45a35e8b",
        "ddaf35a193617aba"
    ]);
    assert_eq!(value(source), expected);
    let table = [
        ("update('').digest('hex').slice(0, 16)", "e3b0c44298fc1c14"),
        (
            "update('42').digest().toString('base64')",
            "c0dctApWjo2ooEXO0RATfhWfiQrE2og7axfcZRs6gEk=",
        ),
        ("update('42').digest('base64url')", "c0dctApWjo2ooEXO0RATfhWfiQrE2og7axfcZRs6gEk"),
        ("update('ü€').digest('hex').slice(0, 16)", "efb65b779538006d"),
        (
            "update('fc', 'hex').digest('hex') === koreUtil.hash('sha256').update('ü', 'latin1').digest('hex')",
            "true",
        ),
    ];
    for (source, expected) in table {
        let shown = value(&format!("String(koreUtil.hash('sha256').{source})"));
        assert_eq!(shown, json!(expected), "{source}");
    }
    let fault = run(&job("koreUtil.hash('md5')")).unwrap_err();
    assert!(fault.message.contains("koreUtil.hash knows no algorithm md5"), "{fault:?}");
}

#[test]
fn what_switchhook_does_not_have_says_so() {
    for (call, what) in [
        ("autoTranslate('hi', 'de')", "Switchhook has no translation service"),
        ("getFormDefinition()", "Switchhook has no forms"),
    ] {
        let fault = run(&job(&format!("koreUtil.{call}"))).unwrap_err();
        assert!(fault.message.contains(what), "{fault:?}");
    }
    let source = "[koreUtil.getCurrentOptions(), koreUtil.getAmbiguousIntents(), koreUtil.ClearAuthProfiles(['a']) ?? 0]";
    let expected = json!([{}, {"intents": [], "cause": "", "userInput": "hi"}, 0]);
    assert_eq!(value(source), expected);
}

#[test]
fn a_session_is_closed_with_the_run() {
    assert!(!output(&job("say(1)")).closed);
    assert!(output(&job("koreUtil.closeConversationSession(); say(1)")).closed);
    assert!(output(&job("koreUtil.closeConversationSession(); await ask('?')")).closed);
}

#[test]
fn libraries_read_the_clock_and_the_chance_that_a_replay_finds_again() {
    let source = "const { _, moment, momenttz, rrule, intl } = koreUtil;
        const once = () => [moment().valueOf(), moment().format(), _.now(), _.random(1, 1e9), _.shuffle(_.range(20)),
            momenttz().tz('Asia/Tokyo').format(), intl.DateTimeFormat('en', {timeStyle: 'full'}).format(),
            new rrule({freq: rrule.DAILY, count: 1}).all()[0].getTime()];
        const first = once(); await ask('?'); say(JSON.stringify(first)); say(JSON.stringify(once()))";
    let told = talk(source, &["x"]);
    let first: Vec<Value> = serde_json::from_str(told[1][0].as_str().unwrap()).unwrap();
    let then: Vec<Value> = serde_json::from_str(told[1][1].as_str().unwrap()).unwrap();
    assert_eq!((&first[0], &first[2]), (&json!(1_000), &json!(1_000)));
    assert_eq!(first[7], json!(1_000));
    assert_eq!((&then[0], &then[2]), (&json!(2_000), &json!(2_000)));
    // What was said in the first run before the question is what its replay found.
    let early = source
        .replace("await ask('?'); ", "")
        .replace("const first", "say(JSON.stringify(_ ? 1 : 0)); const first");
    assert_eq!(json!(talk(&early, &[])[0][1]), told[1][0]);
}

#[test]
fn what_a_run_does_to_a_library_is_gone_with_it() {
    let spoil = "const { _, moment, hash, xml2js, rrule, intl } = koreUtil;
        _.chunk = moment.fn.format = hash.prototype = xml2js.parseString = rrule.WEEKLY = intl.NumberFormat = () => 'mine';
        Array.prototype.flat = Object.fromEntries = JSON.parse = () => 'mine'; moment.tz.setDefault('Asia/Tokyo'); moment.locale('de');
        koreUtil._ = 'mine'; koreUtil.getSessionId = 'mine'; say(_.chunk())";
    let look = "const { _, moment, xml2js, intl } = koreUtil;
        say([_.chunk([1, 2], 1).length, moment(0).format('MMMM H'), typeof xml2js.parseString, intl.NumberFormat().format(1)].join())";
    let before = said(look);
    assert_eq!(before, [json!("2,January 0,function,1")]);
    assert_eq!(said(spoil), [json!("mine")]);
    assert_eq!(said(look), before);
}

#[test]
fn a_library_is_loaded_when_it_is_used_and_no_other_way() {
    let small = |source: &str| {
        let mut job = job(source);
        job.limits.memory = 1 << 20;
        run(&job).map(|_| ()).map_err(|fault| fault.kind)
    };
    assert_eq!(small("say(Object.keys(koreUtil).length)"), Ok(()));
    assert_eq!(small("say(koreUtil.intl.NumberFormat().format(1))"), Err(FaultKind::Memory));
    for name in ["prelude", "koreutil", "lodash", "intl-dates/de"] {
        let source = format!(
            "koreUtil._; try {{ await import('{name}'); say('in') }} catch {{ say('out') }}"
        );
        assert_eq!(said(&source), [json!("out")], "{name}");
    }
}

#[test]
fn every_locale_is_there() {
    let number = "new koreUtil.intl.NumberFormat";
    let date = "new koreUtil.intl.DateTimeFormat";
    let mut known = 0;
    for (file, locale) in crate::libraries::entries() {
        let source = match file {
            "intl-numbers/" => format!("{number}('{locale}').resolvedOptions().locale"),
            "intl-dates/" => format!("{date}('{locale}').resolvedOptions().locale"),
            _ => format!("koreUtil.moment.locale('{locale}')"),
        };
        assert_eq!(value(&source), json!(locale), "{file}{locale}");
        known += 1;
    }
    assert!(known > 200, "{known}");
}
