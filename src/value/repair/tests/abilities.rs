//! What users expect of texts that models really write, by ability: input and JSON of the value.

pub const BEST: &[(&str, &[(&str, &str)])] = &[
    (
        "valid",
        &[
            (
                r#" {"a": [1, 2.5e3, null, true], "b": "x\ty"} "#,
                r#"{"a":[1,2500.0,null,true],"b":"x\ty"}"#,
            ),
            (r#""just text""#, r#""just text""#),
            ("-17", "-17"),
        ],
    ),
    (
        "prose around",
        &[
            ("Here you go: {\"city\": \"Oslo\"}. Anything else?", r#"{"city":"Oslo"}"#),
            ("Result → [\"a\", \"b\"] (two items)", r#"["a","b"]"#),
            ("As noted in [2], the object {\"k\": 1} is it [3].", r#"{"k":1}"#),
            ("if (x) { y(); } else { z(); }\nOutput: {\"ok\": true}", r#"{"ok":true}"#),
            ("Use {placeholder}. Final: {\"v\": \"{placeholder}\"}", r#"{"v":"{placeholder}"}"#),
            ("<answer>{\"n\": 4}</answer>", r#"{"n":4}"#),
            ("const cfg = {port: 80, host: \"h\"};", r#"{"port":80,"host":"h"}"#),
            ("Thought: I should\nanswer: {\"a\": {\"b\": []}}\n", r#"{"a":{"b":[]}}"#),
            ("I cannot answer that, sorry.", r#""I cannot answer that, sorry.""#),
            ("\u{feff}{\"bom\": 1}", r#"{"bom":1}"#),
        ],
    ),
    (
        "fences",
        &[
            ("```json\n{\"a\": 1}\n```", r#"{"a":1}"#),
            ("Intro\n\n```JSON\n[1, 2]\n```\n\nOutro with {\"b\": 2}", "[1,2]"),
            ("~ ```\n{\"a\": \"one\"}\n``` ~", r#"{"a":"one"}"#),
            (
                "First run:\n```sh\ncurl -d '{\"x\": 1}' host\n```\nIt prints\n```json\n{\"y\": 2}\n```",
                r#"{"y":2}"#,
            ),
            (
                "```json\n{\"md\": \"```lua\\nprint(1)\\n```\"}\n```",
                r#"{"md":"```lua\nprint(1)\n```"}"#,
            ),
            ("```json\n{\"cut\": \"off in the mid\n```\nSorry!", r#"{"cut":"off in the mid"}"#),
            ("```json\n{\"list\": [1, 2\n```", r#"{"list":[1,2]}"#),
            ("`{\"inline\": true}`", r#"{"inline":true}"#),
            ("```javascript\nlet a = {b: 1};\n```\n{\"real\": 1}", r#"{"real":1}"#),
        ],
    ),
    (
        "comments",
        &[
            ("{\"a\": 1, // first\n \"b\": 2 # second\n}", r#"{"a":1,"b":2}"#),
            ("/* head */ [1, /* two */ 2] // tail", "[1,2]"),
            (
                "{\"url\": \"http://x//y\", \"c\": \"/* no */ # no\",}",
                r#"{"url":"http://x//y","c":"/* no */ # no"}"#,
            ),
            ("{\"a\": [ // open\n 1 // one\n , 2 ]}", r#"{"a":[1,2]}"#),
            ("{\"deep\": {\"x\": 1 // note }, \"y\": 2}", r#"{"deep":{"x":1},"y":2}"#),
        ],
    ),
    (
        "commas",
        &[
            ("{\"a\": 1,}", r#"{"a":1}"#),
            ("[1, 2, ,3]", "[1,2,3]"),
            ("[,]", "[]"),
            ("{\"a\": 1 \"b\": 2}", r#"{"a":1,"b":2}"#),
            (
                "{\"a\": {\"x\": 1} \"b\": [2] \"c\": \"d\" \"e\": null}",
                r#"{"a":{"x":1},"b":[2],"c":"d","e":null}"#,
            ),
            ("[1 2 3]", "[1,2,3]"),
            ("[\"one\" \"two\"\n\"three\"]", r#"["one","two","three"]"#),
            ("{\n\"name\": \"A\"\n\"age\": 5\n}", r#"{"name":"A","age":5}"#),
            ("{\"a\": 1; \"b\": 2}", r#"{"a":1,"b":2}"#),
        ],
    ),
    (
        "quotes",
        &[
            ("{'a': 'b', 'c': \"d\"}", r#"{"a":"b","c":"d"}"#),
            ("{“key”: “value”}", r#"{"key":"value"}"#),
            ("{`a`: `b`}", r#"{"a":"b"}"#),
            ("{'name': 'O'Brien', 'x': 1}", r#"{"name":"O'Brien","x":1}"#),
            ("{'q': 'she said \"no\"'}", r#"{"q":"she said \"no\""}"#),
            ("{\"size\": \"a 15\" laptop\", \"n\": 1}", r#"{"size":"a 15\" laptop","n":1}"#),
            ("{\"t\": \"the \"best\" one\", \"u\": \"v\"}", r#"{"t":"the \"best\" one","u":"v"}"#),
            (
                "{\"t\": \"call it \"foo\", \"bar\" or \"baz\".\", \"u\": 1}",
                r#"{"t":"call it \"foo\", \"bar\" or \"baz\".","u":1}"#,
            ),
            ("[\"an \"inner\" word\", \"plain\"]", r#"["an \"inner\" word","plain"]"#),
            ("{\"html\": \"<p class=\"x\">hi</p>\"}", r#"{"html":"<p class=\"x\">hi</p>"}"#),
            (
                "{\"code\": \"print(\"hi\")\", \"lang\": \"py\"}",
                r#"{"code":"print(\"hi\")","lang":"py"}"#,
            ),
            (
                "{\"sql\": \"SELECT \"id\" FROM t\", \"n\": 2}",
                r#"{"sql":"SELECT \"id\" FROM t","n":2}"#,
            ),
            ("{\"a\": \"\"quoted\"\"}", r#"{"a":"quoted"}"#),
            (
                "{\"a\": \"\"\"three\nlines \"here\"\nend\"\"\", \"b\": 2}",
                r#"{"a":"three\nlines \"here\"\nend","b":2}"#,
            ),
            ("{\"a\": \"no end, \"b\": \"c\"}", r#"{"a":"no end","b":"c"}"#),
            ("{\"a\": \"no end\n\"b\": \"c\"}", r#"{"a":"no end","b":"c"}"#),
            ("{\"a: 1, \"b\": 2}", r#"{"a":1,"b":2}"#),
            ("{a\": 1, b\": \"x\"}", r#"{"a":1,"b":"x"}"#),
            ("{\"a\": x\", \"b\": y\"}", r#"{"a":"x","b":"y"}"#),
            ("[\"a, \"b\", \"c\"]", r#"["a","b","c"]"#),
            ("{\"x\": \"\", \"y\": ''}", r#"{"x":"","y":""}"#),
        ],
    ),
    (
        "words",
        &[
            ("{name: Bob, role: admin}", r#"{"name":"Bob","role":"admin"}"#),
            ("{first name: Bob, x-y: 1}", r#"{"first name":"Bob","x-y":1}"#),
            ("[red, green, dark blue]", r#"["red","green","dark blue"]"#),
            (
                "{when: 2024-05-06T07:08:09Z, at: 10:30}",
                r#"{"when":"2024-05-06T07:08:09Z","at":"10:30"}"#,
            ),
            ("{link: https://a.b/c?d=e&f=g, n: 1}", r#"{"link":"https://a.b/c?d=e&f=g","n":1}"#),
            ("{path: /usr/local/bin, n: 1}", r#"{"path":"/usr/local/bin","n":1}"#),
            ("{mail: a@b.c}", r#"{"mail":"a@b.c"}"#),
            (
                "{\"a\": some text, with a comma, \"b\": 1}",
                r#"{"a":"some text, with a comma","b":1}"#,
            ),
            ("{\"a\" = 1, \"b\" => 2}", r#"{"a":1,"b":2}"#),
            ("{\"a\" 1 \"b\" [2]}", r#"{"a":1,"b":[2]}"#),
            ("{1: \"a\", 2.5: \"b\", true: 3}", r#"{"1":"a","2.5":"b","true":3}"#),
            ("{color: #ff0000, tag: #x}", r##"{"color":"#ff0000","tag":"#x"}"##),
        ],
    ),
    (
        "literals",
        &[
            ("[True, False, None, TRUE, Null]", "[true,false,null,true,null]"),
            ("[undefined, NaN, Infinity, -Infinity]", "[null,null,null,null]"),
            ("{\"a\": nullable, \"b\": truely}", r#"{"a":"nullable","b":"truely"}"#),
            ("{\"a\": tr", r#"{"a":true}"#),
            ("[fals", "[false]"),
        ],
    ),
    (
        "numbers",
        &[
            ("[.5, 5., +5, 1_000, 0x10]", "[0.5,5,5,1000,16]"),
            ("[01, 1.2.3, 5%, 10px, 3/4]", r#"["01","1.2.3","5%","10px","3/4"]"#),
            (
                "{\"usd\": $9.99, \"eur\": €5, \"k\": 1,500}",
                r#"{"usd":"$9.99","eur":"€5","k":"1,500"}"#,
            ),
            ("{\"a\": 1e, \"b\": 2E+}", r#"{"a":1,"b":2}"#),
            ("[9223372036854775807, 1e2]", "[9223372036854775807,100.0]"),
            ("{\"v\": 5 apples, \"w\": 6}", r#"{"v":"5 apples","w":6}"#),
            ("{\"range\": 1-2, \"tel\": 555-1234}", r#"{"range":"1-2","tel":"555-1234"}"#),
        ],
    ),
    (
        "escapes",
        &[
            (
                r#"{"re": "\d{3}-\w+", "win": "D:\Data"}"#,
                r#"{"re":"\\d{3}-\\w+","win":"D:\\Data"}"#,
            ),
            (r#"{"it": "don\'t", "m": "a\_b"}"#, r#"{"it":"don't","m":"a_b"}"#),
            ("{\"t\": \"tab\there\nline\"}", r#"{"t":"tab\there\nline"}"#),
            (
                r#"{"u": "\u00e9\ud83d\ude00", "lone": "\ud83d!",}"#,
                "{\"u\":\"é😀\",\"lone\":\"\u{fffd}!\"}",
            ),
            (r#"{"bad": "\u12 \uzz",}"#, r#"{"bad":"\\u12 \\uzz"}"#),
            (r#"{\"esc\": \"yes\", \"n\": [1, \"two\"]}"#, r#"{"esc":"yes","n":[1,"two"]}"#),
            (r#"{\n  \"a\": \"line\\nbreak\"\n}"#, r#"{"a":"line\nbreak"}"#),
            (r#"{"trail": "x\"#, r#"{"trail":"x"}"#),
        ],
    ),
    (
        "cut off",
        &[
            ("{", "{}"),
            ("[", "[]"),
            ("{\"a\": [1, {\"b\": \"c", r#"{"a":[1,{"b":"c"}]}"#),
            ("{\"a\": 1, \"b", r#"{"a":1,"b":null}"#),
            ("{\"a\": 1, \"b\":", r#"{"a":1,"b":null}"#),
            ("{\"a\": \"x\\", r#"{"a":"x"}"#),
            ("{\"a\": \"x\\u00", r#"{"a":"x"}"#),
            ("[1, 2, ", "[1,2]"),
            ("[\"done\", \"half do", r#"["done","half do"]"#),
            ("{\"a\": {\"b\": {\"c\": 1}", r#"{"a":{"b":{"c":1}}}"#),
            (
                "{\"long\": \"text, with {braces} and [brackets",
                r#"{"long":"text, with {braces} and [brackets"}"#,
            ),
            ("{\"n\": 12.", r#"{"n":12}"#),
            ("{\"n\": -", r#"{"n":0}"#),
        ],
    ),
    (
        "brackets",
        &[
            ("{\"a\": [1, 2}", r#"{"a":[1,2]}"#),
            ("[{\"a\": 1, {\"a\": 2}]", r#"[{"a":1},{"a":2}]"#),
            ("[{\"a\": [1, 2}, {\"b\": 3}]", r#"[{"a":[1,2]},{"b":3}]"#),
            ("{\"a\": {\"b\": 1], \"c\": 2}", r#"{"a":{"b":1,"c":2}}"#),
            ("{\"a\": 1}}", r#"{"a":1}"#),
            ("[1, 2]]]", "[1,2]"),
            ("{{\"a\": 1}}", r#"{"a":1}"#),
            ("\"a\": 1, \"b\": 2}", r#"{"a":1,"b":2}"#),
            ("{\"a\": 1}, \"b\": 2}", r#"{"a":1,"b":2}"#),
            ("[\"k\": 1, \"l\": 2]", r#"[{"k":1,"l":2}]"#),
            ("{\"a\": (1, 2), \"b\": ()}", r#"{"a":[1,2],"b":[]}"#),
        ],
    ),
    (
        "values never written",
        &[
            ("{\"a\":, \"b\": }", r#"{"a":null,"b":null}"#),
            ("{\"a\", \"b\": 1}", r#"{"a":null,"b":1}"#),
            ("[1, ..., 9]", "[1,9]"),
            ("{\"a\": 1, ...}", r#"{"a":1}"#),
            ("{\"a\": [1, 2, …], \"b\": \"...\"}", r#"{"a":[1,2],"b":"..."}"#),
        ],
    ),
    (
        "python and friends",
        &[
            (
                "{'a': (1, 2), 'b': {3, 4}, 'c': {'x', 'y'}}",
                r#"{"a":[1,2],"b":[3,4],"c":["x","y"]}"#,
            ),
            ("{'a': b'bytes', 'u': u'uni', 'r': r'raw'}", r#"{"a":"bytes","u":"uni","r":"raw"}"#),
            ("{'d': datetime(2024, 1, 2), 'x': Decimal('3.5')}", r#"{"d":[2024,1,2],"x":"3.5"}"#),
            ("Person(name='Ann', age=3, tags=['x'])", r#"{"name":"Ann","age":3,"tags":["x"]}"#),
            (
                "{\"id\": ObjectId(\"ab12\"), \"n\": NumberLong(7), \"d\": new Date(\"2024\")}",
                r#"{"id":"ab12","n":7,"d":"2024"}"#,
            ),
            ("handle({\"a\": [1]});", r#"{"a":[1]}"#),
            ("{\"s\": \"one \" + \"two\", \"t\": 'x' + 'y'}", r#"{"s":"one two","t":"xy"}"#),
            ("{\"re\": /a+b/gi}", r#"{"re":"/a+b/gi"}"#),
            ("(\"only\")", r#""only""#),
        ],
    ),
    (
        "several documents",
        &[
            ("{\"a\": 1}\n{\"a\": 2}\n", r#"[{"a":1},{"a":2}]"#),
            ("{\"a\": 1}{\"b\": 2}", r#"[{"a":1},{"b":2}]"#),
            ("1, 2, 3", "[1,2,3]"),
            ("\"x\"\n\"y\"", r#"["x","y"]"#),
            ("{\"log\": 1},\n{\"log\": 2},", r#"[{"log":1},{"log":2}]"#),
        ],
    ),
    (
        "lines",
        &[
            ("name: Bob\nage: 42\nadmin: true", r#"{"name":"Bob","age":42,"admin":true}"#),
            ("- city: Oslo\n- temp: -3.5 C\n", r#"{"city":"Oslo","temp":"-3.5 C"}"#),
            ("**Title**: A book\n**Year**: 1999", r#"{"Title":"A book","Year":1999}"#),
        ],
    ),
    (
        "embedded",
        &[
            ("{\"x\": \"```json {\"in\": [1]} ```\", \"y\": 2}", r#"{"x":{"in":[1]},"y":2}"#),
            (
                "{\"msg\": \"see {\"k\": 1} there\", \"z\": 0}",
                r#"{"msg":"see {\"k\": 1} there","z":0}"#,
            ),
        ],
    ),
];

/// What lenient reading puts right, and nothing else: `None` is an error.
pub const LENIENT: &[(&str, Option<&str>)] = &[
    ("Sure: {\"a\": 1}", Some(r#"{"a":1}"#)),
    ("```\n[1,]\n```", Some("[1]")),
    ("{a: 'x', // c\n b: [True, None,],}", Some(r#"{"a":"x","b":[true,null]}"#)),
    ("{\"a\": \"x\ny\"}", Some(r#"{"a":"x\ny"}"#)),
    ("{\"a\": \"\\d\"}", Some(r#"{"a":"\\d"}"#)),
    ("{\"a\": [1, {\"b\": 2", Some(r#"{"a":[1,{"b":2}]}"#)),
    ("{\"a\": 1} and {\"b\": 2}", Some(r#"{"a":1}"#)),
    ("[1] first, then {\"a\": 1}", Some(r#"{"a":1}"#)),
    ("'text'", None),
    ("{\"a\": \"cut", None),
    ("{\"a\":", None),
    ("{\"a\" 1}", None),
    ("{\"a\": 1 \"b\": 2}", None),
    ("{\"a\": word}", None),
    ("{\"a\": \"x\" y\"}", None),
    ("[1, ...]", None),
    ("{\"a\": 1,, \"b\": 2}", None),
    ("{\"a\": {\"b\": tru}, \"c\": {\"d\": 1}}", None),
    ("no document", None),
];
