-- For wrk: the lines of a file in turn, posted to /predict; figures as a line of JSON. With a media type, each line names
-- a file, which is the body.
--   wrk ... -s ask.lua http://127.0.0.1:8000 -- bodies.jsonl [MEDIA_TYPE]

local bodies, last, media_type = {}, 0, "application/json"

function init(arguments)
  media_type = arguments[2] or media_type
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = arguments[2] and io.open(line, "rb"):read("*a") or line
  end
end

function request()
  last = last % #bodies + 1
  return wrk.format("POST", "/predict", { ["Content-Type"] = media_type }, bodies[last])
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"answered": %d, "seconds": %f, "p50_ms": %f, "p95_ms": %f, "p99_ms": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, failed.status, failed.connect + failed.read + failed.write + failed.timeout
  ))
end
