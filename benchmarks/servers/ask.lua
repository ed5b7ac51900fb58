-- For wrk: the bodies of a file in turn, posted to one path; figures as a line of JSON.
--   wrk ... -s ask.lua http://127.0.0.1:8000 -- /predict bodies.jsonl

local bodies, path, last = {}, nil, 0

function init(arguments)
  path = arguments[1]
  for line in io.lines(arguments[2]) do bodies[#bodies + 1] = line end
end

function request()
  last = last % #bodies + 1
  return wrk.format("POST", path, { ["Content-Type"] = "application/json" }, bodies[last])
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"answered": %d, "seconds": %f, "p50_ms": %f, "p95_ms": %f, "p99_ms": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, failed.status, failed.connect + failed.read + failed.write + failed.timeout
  ))
end
