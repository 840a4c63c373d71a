-- What kstatus reads, in its order, so that Argo CD, Flux, Helm and kubectl agree.
-- Beyond that: what is tried again, but waits for somebody, is Degraded here.
local needs_somebody = {
  ImageNotFound = true,
  ImageUnauthorized = true,
  PlatformNotFound = true,
  PullSecretInvalid = true,
}

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function words(condition)
  if condition.message == nil or condition.message == "" then return condition.reason end
  return condition.reason .. ": " .. condition.message
end

local ready = conditions.Ready
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the controller to look at the spec" }
end

if is_true("Stalled") or (not is_true("Ready") and needs_somebody[ready.reason]) then
  return { status = "Degraded", message = words(ready) }
end
if is_true("Reconciling") or not is_true("Ready") then
  return { status = "Progressing", message = words(ready) }
end

local message = words(ready)
local prefetched = conditions.Prefetched
if obj.spec.prefetch ~= nil and prefetched ~= nil and prefetched.status == "False" then
  message = message .. "; prefetch: " .. words(prefetched)
end
return { status = "Healthy", message = message }
