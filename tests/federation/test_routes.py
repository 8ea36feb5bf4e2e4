import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from federation.model import Level
from federation.refusal import MethodNotAllowed, NoRoute
from federation.routes import AmbiguousRoutes, Route, RouteTable, read_path


def route(path, methods="GET", upstream_path=None, service="poll"):
    """A route of the poll service that changes nothing of the path unless told to."""
    return Route(
        path=path,
        methods=frozenset(methods.split()),
        service=service,
        upstream_path=path if upstream_path is None else upstream_path,
        scope="polls",
        minimum=Level.ONE,
    )


LIST = route("/api/council/polls", upstream_path="/polls")
POLL = route("/api/council/polls/{poll}", upstream_path="/polls/{poll}")
VOTE = route("/api/council/polls/{poll}/votes", "POST", "/v1/votes/{poll}")
FILES = route("/api/files/**", "GET PUT", "/store/**", service="files")
TABLE = RouteTable([LIST, POLL, VOTE, FILES])


@pytest.mark.parametrize(
    ("method", "path", "expected", "parameters", "upstream_path"),
    [
        ("GET", "/api/council/polls", LIST, {}, "/polls"),
        ("GET", "/api/council/polls/7", POLL, {"poll": "7"}, "/polls/7"),
        ("POST", "/api/council/polls/7/votes", VOTE, {"poll": "7"}, "/v1/votes/7"),
        ("GET", "/api/council/%70olls/%E6%A9%8B", POLL, {"poll": "橋"}, "/polls/%E6%A9%8B"),
        ("GET", "/api/council/polls/a%20b%3Fc%23d", POLL, {"poll": "a b?c#d"}, "/polls/a%20b%3Fc%23d"),
        ("PUT", "/api/files/a/b.txt", FILES, {"**": "a/b.txt"}, "/store/a/b.txt"),
        ("GET", "/api/files/a/", FILES, {"**": "a/"}, "/store/a/"),
        ("GET", "/api/files/", FILES, {"**": ""}, "/store/"),
    ],
)
def test_a_call_reaches_its_route(method, path, expected, parameters, upstream_path):
    """Literal segments, named ones and a rest; escapes of plain letters are read, others go on re-encoded."""
    match = TABLE.match(method, path)
    assert (match.route, match.parameters, match.upstream_path) == (expected, parameters, upstream_path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "api/council/polls",
        "/api/council",
        "/api/council/polls/",
        "/API/council/polls",
        "/api/council/polls/7/votes/1",
        "/api/files",
        # structure hidden or doubled
        "//api/council/polls",
        "/api//council/polls",
        "/api/files//etc",
        "/api/./council/polls",
        "/api/files/../admin",
        "/api/files/..",
        "/api/files/%2e%2e/admin",
        "/api/files/%2E./admin",
        "/api/files/a%2eb",
        "/api/files/..;/admin",
        "/api/files/a;b=c",
        "/api/files/%3b",
        "/api/files/a%2Fb",
        "/api/files/a%5cb",
        "/api/files/a\\b",
        "/api/files/%252e%252e/admin",
        "/api/files/%25",
        # not text
        "/api/files/%00",
        "/api/files/%0d%0a",
        "/api/files/%7f",
        "/api/files/%C2%85",
        "/api/files/%FF",
        "/api/files/%C0%AE%C0%AE/admin",
        "/api/files/%ED%A0%80",
        "/api/files/%E6%A9",
        "/api/files/%",
        "/api/files/%2",
        "/api/files/%zz",
        "/api/files/橋",
        "/api/files/\udcff",
        "/api/files/a b",
        "/api/files/a?query",
        "/api/files/a#fragment",
        "/api/files/a\n",
    ],
)
def test_these_paths_have_no_route(path):
    """No such pattern, or a path that two readers could read in two ways (RFC 3986 §6.2.2)."""
    with pytest.raises(NoRoute):
        TABLE.match("GET", path)


def test_another_method_is_told_the_right_ones():
    """405 with what Allow will say, only where the path has a route."""
    with pytest.raises(MethodNotAllowed) as refused:
        TABLE.match("DELETE", "/api/files/a")
    assert refused.value.allow == {"GET", "PUT"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (route("/a/b"), route("/a/b", "POST GET")),
        (route("/a/{x}"), route("/a/{y}")),
        (route("/a/{x}"), route("/a/b")),
        (route("/a/{x}/c"), route("/a/b/{y}")),
        (route("/a/**"), route("/a/b/{y}/d")),
        (route("/a/**"), route("/**")),
        (route("/a/**"), route("/a/")),
    ],
)
def test_two_routes_for_one_call_are_a_mistake_that_names_both(one, other):
    """In either order; there is no precedence to remember."""
    for routes in ([one, other], [other, one]):
        with pytest.raises(AmbiguousRoutes) as mistake:
            RouteTable(routes)
        assert set(mistake.value.routes) == {one, other}
        assert str(one) in str(mistake.value)
        assert str(other) in str(mistake.value)


def test_the_same_pattern_with_other_methods_is_no_mistake():
    """And a dead end on the literal branch does not hide the named one."""
    table = RouteTable([route("/a/{x}/c"), route("/a/b/d"), route("/a/b", "POST"), route("/a/{x}", "PUT")])
    assert table.match("GET", "/a/b/c").route.path == "/a/{x}/c"
    assert table.match("GET", "/a/b/d").route.path == "/a/b/d"
    assert table.match("PUT", "/a/b").route.path == "/a/{x}"
    assert table.match("POST", "/a/b").route.path == "/a/b"


@pytest.mark.parametrize(
    "make",
    [
        lambda: route("a"),
        lambda: route("/a//b"),
        lambda: route("/a/../b"),
        lambda: route("/a%2fb"),
        lambda: route("/a/{x}y"),
        lambda: route("/a/{}"),
        lambda: route("/a/*"),
        lambda: route("/**/a"),
        lambda: route("/a;b"),
        lambda: route("/a\n"),
        lambda: route("/{x}/{x}"),
        lambda: route("/{x}", upstream_path="/{y}"),
        lambda: route("/a/**", upstream_path="/a"),
        lambda: route("/a", upstream_path="/a/**"),
        lambda: route("/a", methods="get"),
        lambda: route("/a", methods=""),
    ],
)
def test_routes_that_make_no_sense_are_not_made(make):
    """A pattern that no path could match, or an upstream path that does not fit it."""
    with pytest.raises(ValueError, match=r"[/:]"):
        make()


# --- properties. Few letters, so that patterns and paths meet often.

literals = st.sampled_from(["a", "b", ""])
patterns = st.builds(
    lambda middle, last: "/" + "/".join([*(s.replace("{x}", f"{{x{i}}}") for i, s in enumerate(middle)), last]),
    st.lists(st.sampled_from(["a", "b", "{x}"]), max_size=3),
    st.sampled_from(["a", "b", "{last}", "**", ""]),
)
routes = st.lists(st.builds(route, patterns, st.sampled_from(["GET", "POST", "GET POST"])), max_size=5, unique_by=str)
paths = st.builds(
    lambda middle, last: "/" + "/".join([*middle, last]),
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=4),
    st.sampled_from(["a", "b", "c", ""]),
)


def fits(pattern: str, path: str) -> bool:
    """Whether a path is of a pattern, said by a regular expression instead of a tree."""
    expression = re.sub(r"\{\w+\}", "[^/]+", pattern).replace("**", ".*")
    return re.fullmatch(expression, path) is not None


@given(routes, paths, st.sampled_from(["GET", "POST"]))
def test_a_call_matches_the_one_route_that_fits_it(candidates, path, method):
    """The tree agrees with trying every route; a table that was accepted never has two."""
    try:
        table = RouteTable(candidates)
    except AmbiguousRoutes:
        assume(False)
    fitting = [r for r in candidates if fits(r.path, path)]
    serving = [r for r in fitting if method in r.methods]
    assert len(serving) <= 1
    if serving:
        assert table.match(method, path).route == serving[0]
    else:
        with pytest.raises(MethodNotAllowed if fitting else NoRoute):
            table.match(method, path)


@given(routes)
def test_an_ambiguity_is_real(candidates):
    """The two routes that are named share a method, and some path fits both."""
    try:
        RouteTable(candidates)
    except AmbiguousRoutes as mistake:
        one, other = mistake.routes
        assert one.methods & other.methods
        letters = ["a", "b", "c", ""]
        short = [""]
        every = []
        for _ in range(5):
            short = [f"{start}/{letter}" for start in short for letter in letters]
            every += [p for p in short if "//" not in p]
        assert any(fits(one.path, p) and fits(other.path, p) for p in every)


pieces = st.sampled_from(
    [
        "a",
        "/",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "\\",
        "%25",
        "%252e",
        ";",
        "%00",
        "%c0%ae",
        "%e6%a9%8b",
        "//",
    ]
)


@given(st.lists(pieces | st.text(max_size=3), max_size=10))
def test_no_traversal_gets_through(parts):
    """Whatever is accepted means the same however often it is decoded, and names nothing above itself."""
    path = "/api/files/" + "".join(parts)
    try:
        match = TABLE.match("GET", path)
    except NoRoute:
        return
    once = unquote(match.upstream_path)
    assert match.upstream_path.startswith("/store/")
    assert unquote(once) == once
    assert not {".", ".."} & set(once.split("/"))
    assert "//" not in once
    assert not set("\\;\x00") & set(once)
    assert once.count("/") == match.upstream_path.count("/")
    assert once == "/store/" + unquote(path.removeprefix("/api/files/"))


@given(st.text(min_size=1).filter(lambda t: not set(t) & set("/\\.%;") and t.isprintable()))
def test_a_segment_is_read_as_it_was_meant_and_goes_on_the_same(text):
    """Any printable text can be a parameter; what upstream decodes is what the gateway read."""
    match = TABLE.match("GET", "/api/council/polls/" + quote(text, safe=""))
    assert match.parameters == {"poll": text}
    assert read_path(match.upstream_path) == ("polls", text)


def test_long_paths_are_matched_and_not_remembered():
    """Callers choose them: what they ask for fills no memory."""
    table = RouteTable([LIST, POLL, VOTE, FILES])
    for number in range(3):
        assert table.match("GET", f"/api/council/polls/{number}").route == POLL
        assert table.match("GET", f"/api/files/{number}" + "x" * 10_000).route == FILES
    remembered = sum(len(path) for _, path in table._found)
    assert 0 < remembered < 1000
