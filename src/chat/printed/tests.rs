use serde_json::{Value, json};

use super::*;

/// `name(arguments)` for each call, and the rest.
fn all(text: &str, tools: &Tools) -> (Vec<(String, Value)>, String) {
    let printed = extract(text, tools);
    (printed.calls.into_iter().map(|call| (call.name, call.arguments)).collect(), printed.rest)
}

fn weather(arguments: Value) -> Vec<(String, Value)> {
    vec![("get_weather".to_owned(), arguments)]
}

/// One call in every form.
pub fn forms() -> Vec<String> {
    let call = r#"{"name": "get_weather", "arguments": {"city": "Oslo", "n": 2}}"#;
    let args = r#"{"city": "Oslo", "n": 2}"#;
    vec![
        format!("<tool_call>\n{call}\n</tool_call>"),
        format!("<tool_call>\n{call}"),
        format!("<tool_call>{call}<tool_call>"),
        format!("<tool_call>\nget_weather\n{args}\n</tool_call>"),
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>".to_owned(),
        format!("<|tool_call|>[{call}]<|/tool_call|>"),
        format!("<|tool_call|>[{call}]"),
        "<|tool_call_start|>[get_weather(city=\"Oslo\", n=2)]<|tool_call_end|>".to_owned(),
        format!("<function_call>{call}</function_call>"),
        format!("<tool_calls>[{call}]</tool_calls>"),
        format!("<function>{call}</function>"),
        format!("<function=get_weather>{args}</function>"),
        format!("<function=get_weather>{args}"),
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=n>\n2\n</parameter>\n</function>\n</tool_call>".to_owned(),
        "<function=get_weather>\n<parameter=city>Oslo</parameter>\n<parameter=n>2</parameter>\n</function>".to_owned(),
        "<function_calls>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Oslo</parameter>\n<parameter name=\"n\">2</parameter>\n</invoke>\n</function_calls>".to_owned(),
        format!("[TOOL_CALLS][{call}]"),
        format!("[TOOL_CALLS] [{call}]"),
        format!("[TOOL_CALLS]get_weather[ARGS]{args}"),
        format!("[TOOL_CALLS]get_weather[CALL_ID]abc123[ARGS]{args}"),
        format!("[TOOL_CALLS]get_weather{args}"),
        format!("<|python_tag|>{call}<|eom_id|>"),
        "<|python_tag|>get_weather(city='Oslo', n=2)<|eom_id|>".to_owned(),
        r#"{"name": "get_weather", "parameters": {"city": "Oslo", "n": 2}}"#.to_owned(),
        call.to_owned(),
        format!("[{call}]"),
        format!("```json\n{call}\n```"),
        format!("```\n[{call}]\n```"),
        format!("```tool_call\n{call}\n```"),
        "```tool_code\nget_weather(city=\"Oslo\", n=2)\n```".to_owned(),
        "```tool_code\nprint(get_weather(city=\"Oslo\", n=2))\n```".to_owned(),
        "[get_weather(city=\"Oslo\", n=2)]".to_owned(),
        format!("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{args}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
        format!("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{args}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
        format!("<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{args}<|tool_call_end|><|tool_calls_section_end|>"),
        format!("functools[{call}]"),
        format!("<|START_ACTION|>[{{\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {args}}}]<|END_ACTION|>"),
        format!("Action: get_weather\nAction Input: {args}"),
        format!("Action: ```json\n[{{\"tool_name\": \"get_weather\", \"parameters\": {args}}}]\n```"),
        format!("<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{args}<|call|>"),
        format!("<|channel|>commentary to=functions.get_weather json<|message|>{args}"),
        format!("<|recipient|>get_weather\n<|content|>{args}"),
        format!(">>>get_weather\n{args}"),
        format!("{{\"type\": \"function\", \"function\": {call}}}"),
        format!("{{\"tool_calls\": [{{\"id\": \"1\", \"function\": {{\"name\": \"get_weather\", \"arguments\": {}}}}}]}}", json!(args)),
        "<start_function_call>call:get_weather{city: \"Oslo\", n: 2}<end_function_call>".to_owned(),
    ]
}

#[test]
fn every_form_gives_the_same_call() {
    for form in forms() {
        for tools in [Tools::any(), Tools::named(&["get_weather"])] {
            let (calls, rest) = all(&form, &tools);
            assert_eq!(calls, weather(json!({"city": "Oslo", "n": 2})), "{form}");
            assert_eq!(rest, "", "{form}");
        }
        let (calls, rest) = all(&form, &Tools::named(&["other"]));
        assert!(calls.is_empty(), "{form}");
        assert_eq!(rest, form.trim(), "{form}");
    }
}

#[test]
fn several_calls_keep_their_order_and_the_text_around_stays() {
    let text = "First.\n<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"b\",\"arguments\":\"{\\\"x\\\": 1}\"}</tool_call>\nLast.";
    let (calls, rest) = all(text, &Tools::any());
    assert_eq!(calls, [("a".to_owned(), json!({})), ("b".to_owned(), json!({"x": 1}))]);
    assert_eq!(rest, "First.\nLast.");
    let (calls, _) = all("[f(x=1), g(y=[1, 2], z={'a': True})]", &Tools::any());
    assert_eq!(
        calls,
        [
            ("f".to_owned(), json!({"x": 1})),
            ("g".to_owned(), json!({"y": [1, 2], "z": {"a": true}}))
        ]
    );
    let (calls, rest) = all(
        "{\"name\":\"a\",\"parameters\":{}}; {\"name\":\"b\",\"parameters\":{}}",
        &Tools::any(),
    );
    assert_eq!((calls.len(), rest.as_str()), (2, ""));
}

#[test]
fn broken_arguments_are_repaired() {
    let text = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {city: 'Oslo', \"n\": 2,}\n</tool_call>";
    assert_eq!(all(text, &Tools::any()).0, weather(json!({"city": "Oslo", "n": 2})));
}

#[test]
fn what_is_no_call_stays() {
    for text in [
        "The person is {\"name\": \"Bob\", \"age\": 3}.",
        "A tool: {\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}",
        "```python\nresult = get_weather(city=\"Oslo\")\n```",
        "See [docs](http://x) and [1] and f(x).",
        "```json\n{\"name\": \"Bob\", \"input\": 3}\n```",
        "Action: think hard about it.",
        "Use {\"action\": \"buy\", \"args\": 1}",
    ] {
        let (calls, rest) = all(text, &Tools::any());
        assert!(calls.is_empty(), "{text}: {calls:?}");
        assert_eq!(rest, text);
    }
}

#[test]
fn tools_that_are_known_may_be_called_in_more_ways() {
    let tools = Tools::only(vec![Tool {
        name: "f".to_owned(),
        parameters: vec!["x".to_owned(), "y".to_owned()],
    }]);
    assert_eq!(all("[f(1, 2)]", &tools).0, [("f".to_owned(), json!({"x": 1, "y": 2}))]);
    assert_eq!(
        all("{\"tool\": \"f\", \"args\": {\"x\": 1}}", &tools).0,
        [("f".to_owned(), json!({"x": 1}))]
    );
    assert_eq!(all("```python\nf(x=3)\n```", &tools).0, [("f".to_owned(), json!({"x": 3}))]);
}
