-- Programs that read reports of test suites: Perl's TAP::Parser, and PyPI's tap.py and junitparser,
-- which `make deps` puts into the cache. Each answers with what it has read.
local cjson = require("cjson")
local program = require("spec.support.program")

local reports = {}

local cache = os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache"
local packages = cache .. "/zigllms/reports/python"

local function there(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

local READERS = {}

READERS.perl = [[
use TAP::Parser; use JSON::PP;
open(my $in, "<:encoding(UTF-8)", $ARGV[0]); local $/; my $text = <$in>;
my $parser = TAP::Parser->new({ tap => $text }); my @points;
while (my $r = $parser->next) {
  next unless $r->is_test;
  push @points, { number => $r->number, name => $r->description, reason => $r->explanation,
    ok => $r->is_actual_ok ? JSON::PP::true : JSON::PP::false,
    skip => $r->has_skip ? JSON::PP::true : JSON::PP::false };
}
my @errors = $parser->parse_errors;
my %read = (points => \@points, errors => \@errors, plan => $parser->plan);
print JSON::PP->new->utf8->encode(\%read);
]]

READERS.tap = [[
import json, sys
from tap.parser import Parser
points, plan, unknown = [], None, 0
for line in Parser().parse_file(sys.argv[1]):
    if line.category == "test":
        points.append({"number": line.number, "ok": line.ok, "name": line.description,
            "skip": line.skip, "reason": line.directive.text, "yaml": line.yaml_block})
    elif line.category == "plan":
        plan = line.expected_tests
print(json.dumps({"points": points, "plan": plan}))
]]

READERS.junit = [[
import json, sys
from junitparser import JUnitXml, Failure, Error, Skipped
kinds = {Failure: "failure", Error: "error", Skipped: "skipped"}
xml = JUnitXml.fromfile(sys.argv[1])
print(json.dumps([{"name": s.name, "tests": s.tests, "failures": s.failures, "errors": s.errors,
  "skipped": s.skipped, "time": s.time, "cases": [
    {"name": c.name, "time": c.time, "results": [
      {"kind": kinds[type(r)], "message": r.message, "type": r.type, "text": r.text}
      for r in c.result]} for c in s]} for s in xml]))
]]

-- Why that one cannot be used; nil if it can.
function reports.missing(which)
  if which == "perl" then
    local found = program.has("perl")
      and program.shell("perl -MTAP::Parser -MJSON::PP -e 1").rc == 0
    return not found and "no Perl with TAP::Parser" or nil
  elseif not there(packages .. "/junitparser/__init__.py") then
    return "no junitparser and tap.py in the cache: `make deps` gets them"
  end
end

-- What "perl", "tap" or "junit" reads in a text.
function reports.read(which, text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local command = which == "perl" and "perl -e " or "python3 -c "
  local line = command .. program.quoted(READERS[which]) .. " " .. path
  local result = program.shell(line, { PYTHONPATH = packages })
  os.remove(path)
  assert(result.rc == 0, result.err)
  return cjson.decode(result.out)
end

return reports
