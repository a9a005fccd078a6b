import asyncio
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from turnwise.agents.engines import Sampling, ServerEngine
from turnwise.agents.errors import EngineError, InvalidInput, MissingExtra, PromptTooLong
from turnwise.agents.policies import ChatPolicy
from turnwise.agents.tokens.tiny import make_tokenizer

KEY = "sk-very-secret-key"


class Scripted(ThreadingHTTPServer):
    """An endpoint that gives prepared answers in order, the last one for ever, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.release = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address):
        """Clients that gave up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        with server.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append((self.path, body, headers))
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            self.reply(answer(body) if callable(answer) else answer)
        finally:
            with server.lock:
                server.at_once -= 1

    def reply(self, answer):
        status, body, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        if body == "hang":
            self.server.release.wait(20)
            return
        if body == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncontent-type: application/json\r\n\r\n{")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server():
    scripted = Scripted()
    thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    scripted.release.set()
    scripted.shutdown()
    thread.join()
    scripted.server_close()


def completion(ids=(5, 6), text="hi", finish="stop", form="token_ids", **usage):
    """An answer of /completions in one of the forms that servers use."""
    choice = {"index": 0, "text": text, "finish_reason": finish}
    choice["logprobs"] = {
        "token_logprobs": [-0.5 * (place + 1) for place in range(len(ids))],
        "tokens": ["?"] * len(ids),
    }
    if form == "token_ids":
        choice["token_ids"] = list(ids)
    elif form == "strings":
        choice["logprobs"]["tokens"] = [f"token_id:{token}" for token in ids]
    return {"id": "x", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def message(text="hello", finish="stop", **fields):
    """An answer of /chat/completions."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **fields}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def failure(status, text, code=None, **headers):
    return status, {"error": {"message": text, "code": code, "type": "x"}}, headers


def use(server, work, **options):
    """Runs work(engine) and returns its result, or raises what it raised; the engine is closed either way."""

    async def main():
        engine = ServerEngine(server.url, "m", **({"api_key": KEY, "backoff": 0.001, "retries": 3} | options))
        try:
            return await asyncio.wait_for(work(engine), 30), engine.metrics()
        finally:
            await engine.aclose()

    return asyncio.run(main())


def generate(server, prompt=(1, 2, 3), sampling=None, seed=7, **options):
    return use(server, lambda engine: engine.generate(prompt, sampling or Sampling(), seed=seed), **options)


def chat(server, sampling=None, tools=(), **options):
    messages = [{"role": "user", "content": "hi"}]
    return use(server, lambda engine: engine.chat(messages, sampling or Sampling(), tools=tools, seed=7), **options)


@pytest.mark.parametrize("form", ["token_ids", "strings"])
def test_token_ids_go_out_and_come_back_with_their_log_probabilities(server, form):
    server.answers = [completion(form=form, prompt_tokens=3, completion_tokens=2)]
    result, metrics = generate(server)
    assert result.ids.tolist() == [5, 6]
    assert result.ids.dtype == np.int64
    assert result.logprobs.tolist() == [-0.5, -1.0]
    assert (result.text, result.finish) == ("hi", "stop")
    assert metrics["requests"] == 1
    assert metrics["retries"] == 0
    assert (metrics["prompt_tokens"], metrics["tokens"]) == (3, 2)
    ((path, body, headers),) = server.asked
    assert path == "/v1/completions"
    assert body["prompt"] == [1, 2, 3]
    assert headers["authorization"] == f"Bearer {KEY}"


def test_every_sampling_setting_is_sent_so_that_the_servers_own_defaults_do_not_count(server):
    server.answers = [completion(finish="length")]
    sampling = Sampling(temperature=0.0, top_p=0.9, top_k=20, max_tokens=50, stop=("</a>",))
    result, _ = generate(server, sampling=sampling, seed=2**63 + 5, context_length=40)
    assert result.finish == "length"
    body = server.asked[0][1]
    expected = {"temperature": 0.0, "top_p": 0.9, "top_k": 20, "max_tokens": 37, "stop": ["</a>"], "seed": 5}
    expected |= {"min_p": 0.0, "repetition_penalty": 1.0, "include_stop_str_in_output": True, "return_token_ids": True}
    assert {name: body[name] for name in expected} == expected
    generate(server)
    assert server.asked[1][1]["top_k"] == -1
    assert server.asked[1][1]["temperature"] == 1.0


def test_a_tokenizer_decodes_the_ids_itself(server):
    tokenizer = make_tokenizer(["abc"], 259)
    ids = tokenizer.encode("yes<|im_end|>", add_special_tokens=False)
    server.answers = [completion(ids=ids, text="not this")]
    assert generate(server, tokenizer=tokenizer)[0].text == "yes"


def test_log_probabilities_of_another_temperature_are_not_made_up(server):
    server.answers = [completion()]
    assert np.isnan(generate(server, sampling=Sampling(temperature=0.7))[0].logprobs).all()


def test_a_server_without_token_ids_is_told_apart_with_the_remedy(server):
    server.answers = [completion(form="none")]
    with pytest.raises(EngineError, match=r"no token ids.*vLLM.*ChatPolicy"):
        generate(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        failure(429, "slow down"),
        failure(500, "oops"),
        failure(503, "starting"),
        "cut",
        "",
        "garbage {",
        {"choices": []},
        completion(ids=()),
        {"choices": [{"text": "x", "token_ids": [1, 2], "logprobs": {"token_logprobs": [-1.0]}}]},
    ],
    ids=["429", "500", "503", "cut", "empty", "garbage", "no choice", "no tokens", "lengths"],
)
def test_passing_trouble_is_tried_again(server, trouble):
    server.answers = [trouble, trouble, completion()]
    result, metrics = generate(server)
    assert result.text == "hi"
    assert metrics["retries"] == 2
    assert len(server.asked) == 3


def test_lasting_trouble_is_an_error_that_says_how_often_it_was_tried(server):
    server.answers = [failure(500, "the disk is full")]
    with pytest.raises(EngineError, match=r"500: the disk is full \(tried 3 times\)"):
        generate(server, retries=2)
    assert len(server.asked) == 3


def test_the_server_says_when_to_come_back(server):
    server.answers = [failure(429, "later", **{"retry-after": "0.3"}), completion()]
    began = time.monotonic()
    generate(server)
    assert time.monotonic() - began >= 0.29  # clocks may differ a little


def test_a_server_that_asks_for_too_long_a_wait_is_an_error_at_once(server):
    server.answers = [failure(429, "tomorrow", **{"retry-after": "86400"})]
    with pytest.raises(EngineError, match="asks to wait 86400 s"):
        generate(server)
    assert len(server.asked) == 1


def test_a_server_that_does_not_answer_is_tried_again_and_then_named(server):
    server.answers = [(200, "hang"), completion()]
    assert generate(server, timeout=0.4)[0].text == "hi"
    server.answers = [(200, "hang")]
    with pytest.raises(EngineError, match=r"did not answer within 0.2 s \(tried 2 times\)"):
        generate(server, timeout=0.2, retries=1)


def test_nobody_there_is_an_error_that_names_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main():
        engine = ServerEngine(f"http://127.0.0.1:{port}/v1", "m", retries=1, backoff=0.001)
        try:
            with pytest.raises(EngineError, match=rf"127.0.0.1:{port}.*tried 2 times"):
                await engine.generate([1], Sampling(), seed=0)
        finally:
            await engine.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failure(401, "bad key"), EngineError, "give a valid api_key"),
        (failure(403, "not yours"), EngineError, "give a valid api_key"),
        (failure(404, "The model `m` does not exist."), EngineError, r"compare the model's name with .*/v1/models"),
        (failure(400, "This model's maximum context length is 8 tokens"), PromptTooLong, "8 tokens"),
        (failure(400, "x", code="context_length_exceeded"), PromptTooLong, "context_length"),
        (failure(422, "top_k is unknown"), EngineError, r"\(422\): top_k is unknown"),
        (failure(429, "pay first", code="insufficient_quota"), EngineError, "no quota"),
        ((400, "plain words"), EngineError, "plain words"),
        (completion(finish="abort"), EngineError, "'abort'"),
    ],
)
def test_what_will_not_change_is_an_error_at_once_that_says_what_to_do(server, answer, kind, words):
    server.answers = [answer]
    with pytest.raises(kind, match=words):
        generate(server)
    assert len(server.asked) == 1


def test_the_key_stands_in_no_message_and_no_repr(server):
    server.answers = [failure(401, f"Incorrect API key provided: {KEY}")]
    with pytest.raises(EngineError) as caught:
        generate(server)
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    engine = ServerEngine("http://user:password@host:1/v1/?token=abc", "m", api_key=KEY)
    assert repr(engine) == "ServerEngine('http://host:1/v1', 'm')"


def test_the_key_of_the_environment_goes_to_openai_only(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.answers = [completion()]
    generate(server, api_key=None)
    assert KEY not in str(server.asked[0][2])
    assert ServerEngine("https://api.openai.com/v1", "m")._options["api_key"] == KEY


def test_no_more_requests_are_under_way_than_allowed(server):
    def slow(body):
        time.sleep(0.05)
        return completion(ids=body["prompt"])

    server.answers = [slow]

    async def many(engine):
        return await asyncio.gather(*(engine.generate([number], Sampling(), seed=number) for number in range(12)))

    results, metrics = use(server, many, max_concurrency=3)
    assert [result.ids.tolist() for result in results] == [[number] for number in range(12)]
    assert server.most_at_once == 3
    assert metrics["requests"] == 12


def test_one_engine_works_on_one_event_loop_after_the_other(server):
    server.answers = [completion()]
    engine = ServerEngine(server.url, "m", api_key=KEY)
    for last in (False, True):

        async def main(last=last):
            texts = [(await engine.generate([1], Sampling(), seed=0)).text for _ in range(2)]
            if last:
                await engine.aclose()
            return texts

        assert asyncio.run(main()) == ["hi", "hi"]


def test_closing_ends_requests_under_way_and_can_be_repeated(server):
    server.answers = [(200, "hang")]

    async def work(engine):
        task = asyncio.create_task(engine.generate([1], Sampling(), seed=0))
        while not server.asked:
            await asyncio.sleep(0.005)
        await engine.aclose()
        with pytest.raises(EngineError, match="closed while a request was under way"):
            await task
        await engine.aclose()
        with pytest.raises(EngineError, match="closed"):
            await engine.generate([1], Sampling(), seed=0)

    use(server, work)


def test_a_cancelled_caller_stays_cancelled(server):
    server.answers = [(200, "hang")]

    async def work(engine):
        task = asyncio.create_task(engine.generate([1], Sampling(), seed=0))
        while not server.asked:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not engine._running or all(running.cancelling() for running in engine._running)

    use(server, work)


def test_chat_sends_messages_and_returns_text_without_ids(server):
    server.answers = [message("hello there", finish="length")]
    result, metrics = chat(server, Sampling(temperature=0.5, top_p=0.9, max_tokens=9, stop=("x",)))
    assert (result.text, result.finish, len(result.ids), len(result.logprobs)) == ("hello there", "length", 0, 0)
    assert (metrics["prompt_tokens"], metrics["tokens"]) == (7, 3)
    path, body, _ = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["x"],
        "max_tokens": 9,
        "seed": 7,
    }


def test_chat_leaves_out_what_is_neutral(server):
    server.answers = [message()]
    chat(server)
    assert set(server.asked[0][1]) == {"model", "messages", "max_tokens", "seed"}


def test_tool_calls_become_text_as_models_write_them(server):
    function = {"name": "add", "arguments": '{"a": 1}'}
    broken = {"name": "add", "arguments": '{"a": '}
    calls = [{"id": "1", "type": "function", "function": call} for call in (function, broken)]
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    server.answers = [
        message("Let me add.", finish="tool_calls", tool_calls=calls),
        message(None, tool_calls=calls[:1]),
    ]

    async def work(engine):
        return [await engine.chat([{"role": "user", "content": "1+1"}], Sampling(), tools=[tool]) for _ in range(2)]

    (both, alone), _ = use(server, work)
    assert both.text == (
        'Let me add.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "add", "arguments": "{\\"a\\": "}\n</tool_call>'
    )
    assert both.finish == "stop"
    assert alone.text == '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    assert server.asked[0][1]["tools"] == [tool]


def test_models_that_want_the_newer_name_of_the_limit_get_it(server):
    refusal = failure(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    server.answers = [lambda body: refusal if "max_tokens" in body else message()]

    async def many(engine):
        ask = [{"role": "user", "content": "hi"}]
        await asyncio.gather(*(engine.chat(ask, Sampling(max_tokens=9)) for _ in range(3)))
        return await engine.chat(ask, Sampling(max_tokens=9))

    result, metrics = use(server, many, retries=0)
    assert result.text == "hello"
    assert server.asked[-1][1]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.asked[-1][1]
    assert metrics["retries"] == 0


def test_a_server_that_refuses_both_names_is_not_asked_for_ever(server):
    server.answers = [failure(400, "max_completion_tokens is out of range")]
    with pytest.raises(EngineError, match="out of range"):
        chat(server)
    assert len(server.asked) == 2


def test_a_chat_policy_plays_through_a_server(server):
    server.answers = [message("50"), message("75")]

    async def work(engine):
        session = ChatPolicy(engine, Sampling(max_tokens=5)).start(seed=1)
        first = await session.act("guess", {"instructions": "Play."})
        second = await session.act("higher", {})
        return first.text, second.text

    assert use(server, work)[0] == ("50", "75")
    assert [entry["content"] for entry in server.asked[1][1]["messages"]] == ["Play.", "guess", "50", "higher"]


def test_a_prompt_that_cannot_fit_is_not_sent(server):
    with pytest.raises(PromptTooLong, match="3 tokens"):
        generate(server, context_length=3)
    with pytest.raises(InvalidInput, match="at least one"):
        generate(server, prompt=[])
    with pytest.raises(InvalidInput, match="seed=-1"):
        generate(server, seed=-1)
    assert server.asked == []


def test_a_servers_weights_and_unknown_context_are_told():
    engine = ServerEngine("http://localhost:1/v1", "m")
    with pytest.raises(EngineError, match="cannot be updated"):
        engine.update_weights(object())
    with pytest.raises(EngineError, match="give context_length"):
        _ = engine.context_length
    assert ServerEngine("http://localhost:1/v1", "m", context_length=9).context_length == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "localhost:8000"}, "base_url='localhost:8000'"),
        ({"base_url": "ftp://host/v1"}, "base_url"),
        ({"max_concurrency": 0}, "max_concurrency=0"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout": 0}, "timeout=0"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        ServerEngine(**({"base_url": "http://localhost:1/v1", "model": "m"} | options))


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"turnwise\[server\]"):
        ServerEngine("http://localhost:1/v1", "m")
