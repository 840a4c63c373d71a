-- usage: lua5.1 run-health.lua HEALTH_LUA, with the object as a Lua table on standard input
--
-- Runs the script with what Argo CD gives it and no more: the base and table
-- libraries, and of os the clock. It has no string library, nor methods of strings.
local object = assert(loadstring("return " .. io.read("*a")))()
local script = assert(loadfile(arg[1]))

local given = { obj = object, table = table, os = { time = os.time, date = os.date } }
for _, name in ipairs({ "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
  "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall" }) do
  given[name] = _G[name]
end
given._G = given
getmetatable("").__index = nil

local result = setfenv(script, given)()
assert(type(result) == "table", "no table was returned")
for key in pairs(result) do
  assert(key == "status" or key == "message", "a health has no " .. tostring(key))
end
io.write(result.status, "\n", result.message or "")
