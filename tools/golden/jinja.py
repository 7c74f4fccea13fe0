"""Golden cases for the template engine: what Jinja2 prints, in the environment that transformers
gives chat templates (immutable sandbox, loop controls, its own tojson).

    tools/venv tools/golden/jinja.py        writes tests/golden/jinja/cases.json

A case is a template, its variables and the output, or "error" where Jinja2 fails. With "chat" it is
rendered with trim_blocks and lstrip_blocks. Made with Jinja2 3.1.6.
"""
import json
from pathlib import Path

from jinja2.ext import Extension, loopcontrols
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = Path(__file__).parents[2] / 'tests/golden/jinja/cases.json'


class Generation(Extension):
    tags = {'generation'}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
        return nodes.CallBlock(self.call_method('_run'), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def raise_exception(message):
    raise RuntimeError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment(chat, keep):
    env = ImmutableSandboxedEnvironment(trim_blocks=chat, lstrip_blocks=chat,
                                        keep_trailing_newline=keep,
                                        extensions=[Generation, loopcontrols])
    env.filters['tojson'] = tojson
    env.globals['raise_exception'] = raise_exception
    return env


# Expressions, each printed as {{ ... }} with VARS.
VARS = {
    'n': 7, 'f': 2.5, 's': 'Hello, World', 'u': 'żółć ß ǆ', 'e': '', 't': True, 'z': None,
    'l': [3, 1, 2], 'w': ['b', 'A', 'c', 'B'], 'd': {'a': 1, 'b': [1, 'x'], 'items': 5}, 'el': [],
    'people': [{'name': 'Ann', 'age': 30, 'tags': ['x']}, {'name': 'bob', 'age': 25, 'tags': []},
               {'name': 'Cid', 'age': 30}],
    'text': '  two words\n\tand more  ', 'q': 'it\'s "quoted"\n\t\\ \x07 \x7f \u200b',
}
EXPRESSIONS = r'''
1 + 2 * 3 - 4
7 / 2
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
10 ** 18
1e3
1e16
1.5e-7
0.1 + 0.2
1/3
100000.0
123456789012345678.0
1e100
-0.0
1_000
0x1F + 0b11 + 0o17
"a" ~ 1 ~ none ~ true ~ 1.0 ~ [1] ~ missing
"a" + "b"
"a" "b" 'c'
"a" * 3
3 * "ab"
"a" * -1
[1, 2] + [3]
[0] * 3
(1, 2) + (3,)
1 + true
"a" + 1
[] + ()
1 - "a"
missing + 1
1 / 0
1 // 0
1 % 0
[1, "two", 3.0, none, true, {"a": (1,)}, (), ("x", 'y')]
{"k": "v", 1: 2, none: 3, true: 4}
{1: "a", 1.0: "b"}
(1)
(1,)
()
"it's"
'say "hi"'
["it's", 'say "hi"', "both ' and \"", "\n\t\\ \x07"]
q
[q]
[u]
"\u00e9\x41\101\n|\q"
"Ünïcödé" | upper
not true
not not n
1 < 2 < 3
1 < 2 > 5
1 < 2 == 2
"a" < "b"
"a" < 1
[1, 2] < [1, 3]
[1] < (1,)
missing < 1
1 == 1.0
1 == true
"1" == 1
[1, [2]] == [1, [2.0]]
{"a": 1} == {"a": 1.0}
(1,) == [1]
missing == missing
none == missing
"ell" in s
"x" not in s
1 in l
4 in l
"a" in d
1 in "abc"
1 in missing
"a" in missing
1 in 5
n if t else 0
n if z else 0
n if z
(n if z) is defined
"a" if false else "b" if false else "c"
t and n
z or "default"
e or el or "last"
z and undefined_thing.x
missing
missing.x
missing["x"]
missing()
d.a
d["a"]
d.nothing
d.nothing.x
d["nothing"] is defined
d.items is callable
d["items"]
d.items() | list
d.get("a")
d.get("x")
d.get("x", 9)
d.keys() | list
d.values() | list
people[0].name
people[-1]["name"]
people[9]
people[9].name
l[0]
l[-1]
l[5]
l.0
l[1.0]
s[0]
s[-1]
s[50]
u[1]
l[1:]
l[:-1]
l[::-1]
l[::2]
l[-2:]
l[5:]
l[2:0:-1]
l[::0]
l["a":]
s[1:4]
s[::-1]
s[:-3]
s[-5:-2]
s[::3]
u[1:4]
u[::-1]
u[2]
(1, 2, 3)[1:]
none[1:]
5[0]
missing[1:]
s.upper()
s.lower()
s.title()
u.upper()
u.title()
u.capitalize()
s.swapcase()
s.split()
s.split(",")
s.split(", ")
s.split("l", 1)
s.split("")
text.split()
text.split(none, 1)
text.rsplit(none, 1)
text.rsplit(maxsplit=2)
s.rsplit("o", 1)
"a,b,,c,".split(",")
"".split()
"".split(",")
text.splitlines()
"a\r\nb\n\nc\n".splitlines(true)
"a\x0bb\u2028c".splitlines()
text.strip()
text.lstrip()
text.rstrip()
"xxhixx".strip("x")
"xyhiyx".lstrip("xy")
"</s>text".strip("<>/s")
"  " .strip() == ""
"\u00a0x\u3000".strip()
s.startswith("Hell")
s.startswith("x")
s.startswith(("x", "H"))
s.startswith("ello", 1)
s.endswith("ld")
s.endswith(("a", "d"))
s.startswith(1)
s.find("o")
s.rfind("o")
s.find("zz")
u.find("ć")
s.index("W")
s.index("zz")
s.count("l")
s.count("")
s.find("l", 4)
s.replace("l", "L")
s.replace("l", "L", 1)
"abc".replace("", "-")
"abc".replace("b", "")
", ".join(["a", "b"])
", ".join(l)
"-".join("abc")
"a".isalpha() and "1".isdigit() and "a1".isalnum() and " ".isspace()
"".isalpha()
"Ab".isupper()
"AB1".isupper()
"ab1".islower()
"12".islower()
"7".zfill(3)
"-7".zfill(4)
"x".ljust(3) ~ "|"
"x".rjust(3, "*")
"x".center(4) ~ "|"
"xy".center(5, "-")
"prefix-x".removeprefix("prefix-")
"x.py".removesuffix(".py")
"a=b=c".partition("=")
"a=b=c".rpartition("=")
"abc".partition("=")
"abc".rpartition("=")
"{} and {}".format(1, "b")
"{0}{1}{0}".format("a", 2)
"{name!r:>8}|{x:05.1f}|{{}}".format(name="a", x=3.14159)
"{:,}".format(1234567)
"{:x}".format(255)
"{:^7}|".format("ab")
"%s is %d and %.2f%%" % ("x", 3, 2.5)
"%5s|%-5s|%05d" % ("a", "b", 42)
"%r" % ("it's",)
"%(a)s-%(b)s" % {"a": 1, "b": 2}
"%s" % 5
"%s %s" % (1,)
"%d" % "x"
"%s" | format("hi")
"%s-%s" | format(1, 2)
l.index(1)
l.count(3)
l.append(4)
l.pop()
d.update({"x": 1})
d.pop("a")
l | length
s | length
u | length
d | length
missing | length
5 | length
el | length
l | first
l | last
el | first
el | first is defined
s | first
l | sort
w | sort
w | sort(case_sensitive=true)
w | sort(reverse=true)
people | sort(attribute="age") | map(attribute="name") | list
people | sort(attribute="age,name") | map(attribute="name") | join(",")
people | sort(attribute="name", reverse=true) | map(attribute="name") | join(",")
[1, "a"] | sort
l | max
l | min
w | max
w | min(case_sensitive=true)
people | max(attribute="age")
el | max
l | sum
people | sum(attribute="age")
people | sum("age", 100)
l | sum(start=10)
l | reverse | list
s | reverse
l | join
l | join("-")
people | join(", ", attribute="name")
[1, none, true, 2.5] | join("|")
"abc" | join(",")
d | items | list
missing | items | list
d | dictsort
{"b": 1, "A": 2, "c": 0} | dictsort
{"b": 1, "A": 2, "c": 0} | dictsort(true)
{"b": 1, "A": 2, "c": 0} | dictsort(by="value")
{"b": 1, "A": 2, "c": 0} | dictsort(reverse=true)
["a", "A", "b", "a"] | unique | list
["a", "A", "b", "a"] | unique(case_sensitive=true) | list
[1, 2, 1.0, true] | unique | list
people | map(attribute="name") | list
people | map(attribute="missing", default="-") | list
people | map(attribute="tags.0", default="none") | list
["a", "b"] | map("upper") | list
[1.5, 2.7] | map("int") | list
["a b", "c"] | map("replace", " ", "_") | list
l | select("odd") | list
l | select("gt", 1) | list
[0, 1, "", "x", none] | select | list
[0, 1, "", "x", none] | reject | list
l | reject("equalto", 1) | list
people | selectattr("age", "equalto", 30) | map(attribute="name") | list
people | selectattr("tags") | list | length
people | selectattr("tags", "defined") | list | length
people | rejectattr("age", "in", [25]) | map(attribute="name") | list
people | groupby("age") | map("first") | list
people | groupby("age") | map("last") | map("length") | list
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3, 4, 5] | batch(2, "x") | list
[1, 2, 3, 4, 5] | slice(2) | list
[1, 2, 3, 4, 5] | slice(2, 0) | list
s | list
d | list
missing | list
5 | list
s | upper
s | lower
5 | upper
none | lower
"hello world-wide (web) it's" | title
"hELLO wORLD" | capitalize
text | trim
"..a.." | trim(".")
s | replace("o", "0")
s | replace("l", "L", 1)
5 | replace("5", "6")
"ab" | center(6) ~ "|"
"a\nb\n\nc" | indent
"a\nb\n\nc" | indent(2, true)
"a\nb\n\nc" | indent(2, blank=true)
"a\nb" | indent("> ")
"a\nb\n" | indent(1) ~ "|"
"foo bar baz qux" | truncate(9)
"foo bar baz qux" | truncate(9, true)
"foo bar baz qux" | truncate(11)
"foo bar baz qux" | truncate(9, false, "", 0)
"foo bar, baz_1 -" | wordcount
"a&b<c>'d'\"e\"" | escape
"<b>" | e | safe
s | safe
"a b&c/d?é" | urlencode
{"a b": "c&d", "x": 1} | urlencode
d | tojson
d | tojson(indent=2)
[] | tojson(indent=2)
{} | tojson(indent=4)
[[1, [2]], {"a": {}}] | tojson(indent=1)
u | tojson
u | tojson(ensure_ascii=true)
"\U0001F600 \x7f\x01/'" | tojson
"\U0001F600" | tojson(true)
q | tojson
[1, 1.0, 1e20, none, true, "x"] | tojson
{"b": 1, "a": 2} | tojson(sort_keys=true)
{"b": 1, "a": 2} | tojson(separators=(",", ":"))
{1: 2, none: 3, true: 4, 1.5: 5} | tojson
missing | tojson
(1, 2) | tojson
"42" | int
"x" | int
"x" | int(7)
"0x1F" | int(base=16)
"101" | int(base=2)
"3.9" | int
3.9 | int
-3.9 | int
none | int
[] | int(3)
" 42 " | int
"2.5" | float
"x" | float
"x" | float(1.5)
n | float
-5 | abs
-5.5 | abs
2.5 | round
3.5 | round
2.675 | round(2)
42 | round
42.5 | round(0, "floor")
42.1 | round(0, "ceil")
42.1234 | round(2, "floor")
1234.5 | round(-2)
n | string
l | string
missing | string
z | string
missing | default("x")
z | default("x")
z | default("x", true)
e | default("x", true)
e | d("x")
d.q | default("x")
missing | default
1 | filesizeformat
999 | filesizeformat
1000 | filesizeformat
123456789 | filesizeformat
123456789 | filesizeformat(true)
1024 | filesizeformat(true)
d | attr("a") is defined
n is defined
missing is defined
missing is not defined
missing is undefined
z is none
n is none
t is boolean
n is boolean
t is true
n is true
false is false
n is integer
t is integer
f is float
n is number
t is number
s is number
s is string
n is string
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
n is sequence
missing is sequence
s is iterable
n is iterable
missing is iterable
n is odd
n is even
4 is divisibleby 2
4 is divisibleby(3)
n is eq 7
n is ne(7)
n is lt 8
n is >= 7
1 is in [1, 2]
"z" is in "abc"
3 is not in [1, 2]
none is sameas none
[] is sameas []
"abc" is lower
"ABC" is upper
"abC" is lower
"upper" is filter
"nope" is filter
"odd" is test
range is callable
s is callable
s is string and n is integer
s is string or z.x
not s is string
"a" is string ~ "b"
s is nosuchtest
s | nosuchfilter
range(3) | list
range(1, 4) | list
range(5, 0, -2) | list
range(0) | list
range(0, 3, 0) | list
dict(a=1, b=2)
dict([("a", 1)])
dict({"a": 1}, b=2)
namespace(a=1).a
namespace(a=1).b
namespace({"x": 1}).x
raise_exception("stop")
"a" "b" | upper
-n | abs
(-5) | abs
2 + 3 | string | length
[l | length, (s | upper)[0]]
l | map("string") | join(",") | length
[1, 2,]
{"a": 1,}
[[]] | tojson
"{{ x }}"
'%}' ~ "}}"
{"a": {"b": {}}}
("a" ~ "b") | upper
1, 2
[1, 2] | first, 3
people[0]["na" ~ "me"]
people[0]["tags"][0]
people | first | attr("name") is defined
l | select("in", [1, 2]) | list
[1, [2, [3]]] | tojson
"a-b" | replace("-", "") | upper | list | join(".")
loop
true == True and none == None
nonetheless
"é" | length
"日本語"[1]
"日本語" | list
"日本語".center(7, "*")
1 if missing else 2
missing or 3
missing and 3
[missing]
{"a": missing}
missing ~ "x"
missing | upper
missing in [1]
3 == 3 and 4 != 5
1.0 | string
1e-5 | string
123456.789e3 | string
5 | float | string
3 | string + "x"
"a".x
'''.strip('\n').split('\n')

# Whole templates.
TEMPLATES = [
    ('{% if n > 5 %}big{% elif n %}small{% else %}zero{% endif %}', {}),
    ('{% if missing %}a{% else %}b{% endif %}', {}),
    ('{% for x in l %}{{ x }},{% endfor %}', {}),
    ('{% for x in el %}{{ x }}{% else %}empty{% endfor %}', {}),
    ('{% for x in missing %}{{ x }}{% else %}empty{% endfor %}', {}),
    ('{% for x in 5 %}{% endfor %}', {}),
    ('{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}', {}),
    ('{% for k in d %}{{ k }};{% endfor %}', {}),
    ('{% for c in u %}[{{ c }}]{% endfor %}', {}),
    ('{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}', {}),
    ('{% for a, b in [(1, 2, 3)] %}{% endfor %}', {}),
    ('{% for a, b in [(1,)] %}{% endfor %}', {}),
    ('{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}none{% endfor %}', {}),
    ('{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}', {}),
    ('{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}'
     '{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}|{% endfor %}', {}),
    ('{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}', {}),
    ('{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}', {}),
    ('{% for x in l %}{{ loop.cycle("a", "b") }}{% endfor %}', {}),
    ('{% for x in [1,1,2,2,1] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}', {}),
    ('{% for x in l %}{% for y in l %}{{ loop.depth }}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}', {}),
    ('{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}', {}),
    ('{% for x in l %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% endfor %}!', {}),
    ('{% for x in l %}{% for y in l %}{% break %}{% endfor %}{{ x }}{% endfor %}', {}),
    ('{% for x in l %}{% endfor %}{{ x }}', {}),
    ('{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}', {}),
    ('{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}', {}),
    ('{% set d.a = 5 %}', {}),
    ('{% for i in l %}{{ x is defined }}{% set x = i %}{{ x }}{% endfor %}', {}),
    ('{% set x = 5 %}{% if true %}{% set x = 6 %}{% endif %}{{ x }}', {}),
    ('{% set a, b = 1, 2 %}{{ a }}{{ b }}', {}),
    ('{% set x = 1, 2 %}{{ x }}', {}),
    ('{% set x %}a{{ n }}b{% endset %}{{ x }}', {}),
    ('{% set x | upper | replace("A", "<") %}a{{ n }}b{% endset %}{{ x }}', {}),
    ('{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}', {}),
    ('{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}', {}),
    ('{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}', {}),
    ('{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}{{ m(*[1, 2], **{"y": 4}) }}', {}),
    ('{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% for x in l %}{{ m() }}{% endfor %}', {}),
    ('{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(1) }}{{ y }}', {}),
    ('{% macro fact(k) %}{% if k < 2 %}1{% else %}{{ k * fact(k - 1) | int }}{% endif %}{% endmacro %}{{ fact(5) }}', {}),
    ('{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}', {}),
    ('{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{{ n }}{% endcall %}', {}),
    ('{% macro m() %}{% for i in [1,2] %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(k) m() %}<{{ k }}>{% endcall %}', {}),
    ('{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}', {}),
    ('{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }}{{ m("x") | upper }}', {}),
    ('{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}', {}),
    ('{% filter upper %}a{{ s }}{% endfilter %}', {}),
    ('{% filter replace("a", "b") | upper %}banana{% endfilter %}', {}),
    ('{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}', {}),
    ('{% raw %}{{ not }} {% this %} {# either #}{% endraw %}', {}),
    ('a {%- raw -%}  {{ x }}  {%- endraw -%}  b', {}),
    ('{# comment {{ x }} #}a{#- b -#} c', {}),
    ('a  {{- n -}}  b', {}),
    ('a \n {%- if t -%} \n b \n {%- endif -%} \n c', {}),
    ('a\n{% if t %}\nb\n{% endif %}\nc\n', {}),
    ('a\n  {% if t %}  \nb\n  {% endif %}\nc\n', {'chat': True}),
    ('a\n{% if t %}\nb\n{% endif %}\nc\n', {'chat': True}),
    ('a\n{% if t %}\nb\n{% endif %}\nc\n', {'chat': True, 'keep': True}),
    ('  {% if t %}x{% endif %}\n  {{ n }}\n{# c #}\ny', {'chat': True}),
    ('  {%+ if t %}x{% endif +%}\ny', {'chat': True}),
    ('a {% if t %}\nb{% endif %}', {'chat': True}),
    ('{% for x in l -%}\n  {{ x }}\n{%- endfor %}', {'chat': True}),
    ('{% for x in l %}\n  {{- x }}\n{% endfor %}', {'chat': True}),
    ('x\r\ny\rz\r\n', {}),
    ('x\n\n', {}),
    ('{{ "a\nb" }}', {}),
    ('{{ {"a": {"b": 1}}["a"]["b"] }}', {}),
    ('{{ {"a": {}} }}', {}),
    ('{{- "  x" -}}', {}),
    ('{% generation %}x{{ n }}{% endgeneration %}', {}),
    ('{% for m in people %}{% generation %}{{ m.name }}{% endgeneration %}{% endfor %}', {}),
    ('{%- if false %}{{ nope.nope.nope }}{% endif %}ok', {}),
    ('{{ "%s" % "x" if n else "y" }}', {}),
    ('{% set c = cycler("a", "b") %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}', {}),
    ('{% set j = joiner("|") %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}', {}),
    ('{% if n is defined and n is not none and n in [7, 8] %}yes{% endif %}', {}),
    ('{% if not (n == 7) or not missing is defined %}yes{% endif %}', {}),
    ('{% set x = [] %}{% for i in l %}{% set x = x + [i] %}{% endfor %}{{ x }}', {}),
    ('{% set ns = namespace(x=[]) %}{% for i in l %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}', {}),
    ('{{ l[1:] | map("string") | join("+") }} = {{ l[1:] | sum }}', {}),
    ('{% block a %}x{{ n }}{% endblock %}y', {}),
    ('{% if %}', {}), ('{% endif %}', {}), ('{% nope %}', {}), ('{{ }}', {}), ('{{ 1 + }}', {}),
    ('{{ (1 }}', {}), ('{{ [1 }}', {}), ('{% for x in %}{% endfor %}', {}), ('{% for 1 in l %}{% endfor %}', {}),
    ('{% break %}', {}), ('{{ a b }}', {}), ('{% set %}', {}), ('{{ "abc }}', {}), ('{# abc', {}),
    ('{% raw %}abc', {}), ('{% if a %}', {}), ('{{ a | }}', {}), ('{{ a is }}', {}), ('{{ x ! }}', {}),
    ('{% macro %}{% endmacro %}', {}), ('{% set 1 = 2 %}', {}), ('{{ {1 2} }}', {}), ('{{ 1 if }}', {}),
]

MESSAGES = [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi <there> & "you"'},
            {'role': 'assistant', 'content': ' Hello.\n'}, {'role': 'user', 'content': 'Bye'}]
TOOL = {'type': 'function', 'function': {'name': 'add', 'description': 'Adds "two"', 'parameters': {
    'type': 'object', 'properties': {'a': {'type': 'number'}, 'b': {'type': 'number'}}, 'required': ['a', 'b']}}}
CALL = [{'role': 'user', 'content': '1+1?'},
        {'role': 'assistant', 'content': '', 'tool_calls': [
            {'type': 'function', 'function': {'name': 'add', 'arguments': {'a': 1, 'b': 1.5}}}]},
        {'role': 'tool', 'content': '2'}]

# Shapes of chat templates in the wild, written for this test.
CHATS = [
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- if messages[0]['role'] == 'system' %}\n    {%- set system = messages[0]['content'] %}\n"
    "    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system = '' %}\n{%- endif %}\n"
    "{{- bos_token }}\n{%- for m in messages %}\n    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}\n"
    "        {{- raise_exception('roles must alternate') }}\n    {%- endif %}\n"
    "    {%- if m.role == 'user' %}\n        {{- '[INST] ' + (system + '\\n\\n' if loop.first and system else '') + m.content | trim + ' [/INST]' }}\n"
    "    {%- else %}\n        {{- ' ' + m.content | trim + eos_token }}\n    {%- endif %}\n{%- endfor %}",
    "{%- macro show(props, depth) -%}\n{%- for k, v in props.items() %}\n{{ '  ' * depth }}{{ k }}: {{ v.type }}"
    "{%- if v.properties is defined %}{{ show(v.properties, depth + 1) }}{% endif %}\n{%- endfor %}\n{%- endmacro -%}\n"
    "{%- if tools %}\n# Tools\n{%- for t in tools %}\n{{ t | tojson }}\n{{ t.function.name }}({{ show(t.function.parameters.properties, 1) }})"
    "\n{%- endfor %}\n{%- endif %}\n{%- for m in messages %}\n{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "{%- if m.tool_calls %}\n{%- for c in m.tool_calls %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": "
    "{{ c.function.arguments | tojson }}}\n</tool_call>\n{%- endfor %}\n{%- endif %}\n{%- endfor %}\n",
    "{%- set ns = namespace(last=-1, seen=false) %}\n{%- for m in messages[::-1] %}\n"
    "    {%- set i = (messages | length - 1) - loop.index0 %}\n"
    "    {%- if not ns.seen and m.role == 'user' and not (m.content.startswith('<r>') and m.content.endswith('</r>')) %}\n"
    "        {%- set ns.seen = true %}\n        {%- set ns.last = i %}\n    {%- endif %}\n{%- endfor %}\n"
    "last={{ ns.last }}\n{%- for m in messages %}\n{%- set content = m.content %}\n"
    "{%- if '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}\n"
    "{%- if loop.index0 > ns.last or loop.last %}!{% endif %}{{ content.rstrip('\\n').split('<think>')[0] }}"
    "{% if not loop.last %},{% endif %}\n{%- endfor %}",
]


def chat_cases():
    for source in CHATS:
        for messages in (MESSAGES, CALL, [{'role': 'user', 'content': [{'type': 'text', 'text': 'part'}]}],
                         [{'role': 'assistant', 'content': 'first'}]):
            for more in ({'add_generation_prompt': True}, {'tools': [TOOL]}):
                yield source, {'messages': messages, 'bos_token': '<s>', 'eos_token': '</s>', **more}


def case(template, variables, chat=False, keep=False):
    row = {'template': template, 'vars': variables}
    if chat:
        row['chat'] = True
    if keep:
        row['keep'] = True
    try:
        row['out'] = environment(chat, keep).from_string(template).render(**variables)
    except Exception as error:
        row['error'] = f'{type(error).__name__}: {error}'
    return row


def used(template):
    """Only the variables that a template mentions, so that the file stays small."""
    return {k: v for k, v in VARS.items() if k in template}


rows = [case('{{ ' + e + ' }}', used(e)) for e in EXPRESSIONS]
rows += [case(t, used(t), **options) for t, options in TEMPLATES]
rows += [case(t, v, chat=True) for t, v in chat_cases()]
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text('[\n' + ',\n'.join(json.dumps(r, ensure_ascii=False) for r in rows) + '\n]\n')
print(f'{len(rows)} cases, {sum("error" in r for r in rows)} of them errors, {OUT.stat().st_size} bytes')
