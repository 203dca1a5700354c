-- Parts the numeric table that preprocess wrote into train.csv and val.csv, row by row.

local json = require("dkjson")

local IN = os.getenv("MICROSTAGE_IN") or "/in"
local OUT = os.getenv("MICROSTAGE_OUT") or "/out"
local WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
local ENOSPC, EDQUOT = 28, 122 -- errno(3): no space left on the device, or of the user's quota
local EPERM, EACCES = 1, 13 -- it is not allowed
local BUFFER = 2 ^ 20 -- bytes of a file that are read or written at a time
local QUOTE, CARRIAGE_RETURN = 34, 13 -- bytes
-- Where there are fewer kinds of rows, or more rows of each, they are alike by chance; and where more
-- than this share of the kinds that came several times is of several classes.
local FEW_KINDS, MANY_ROWS, MIXED = 50, 5, 0.05
local WORDS, WORD_BYTES = "<" .. ("i8"):rep(16), 128 -- of a text, read at a time
local MULTIPLIER = 0x9E3779B97F4A7C15 -- odd, of 64 bits: Knuth, The Art of Computer Programming, 6.4
local MAX_LINES = 10000 -- of a row: more than that, and a quote was left open

local HELP = [[
usage: split_lua [--help] split [--val-fraction F] [--seed S]

Parts processed/train_data.csv into train.csv and val.csv. More than one day: the newest days
validate. One day: rows of each class, at random, or of all where numbers are to be predicted; rows
that are the same are on one side. The order of the rows stays.

  --val-fraction F  of the days, or of each class (default: 0.2)
  --seed S          of the choice of rows (default: 17)
  --help            show this and exit]]

-- What the user has to mend, in one sentence, and the exit code that goes with it.
local function refuse(code, sentence, ...)
  error({ code = code, sentence = sentence:format(...) })
end

-- A path as the user knows it: without the root that differs from run to run.
local function shown(path)
  return path:sub(1, #IN) == IN and path:sub(#IN + 2) or path
end

-- The uid that this runs as, which Lua's own library does not tell.
local function uid()
  local status = io.open("/proc/self/status")
  local found = status and status:read("a"):match("Uid:%s+%d+%s+(%d+)")
  return found or "of this stage"
end

local function open(path, mode)
  local file, message, errno = io.open(path, mode)
  if not file and mode == "rb" and (errno == EACCES or errno == EPERM) then
    local sentence = "%s cannot be read by uid %s, as which this stage runs: let it, by chmod or chown"
    refuse(INPUT_MISSING, sentence, shown(path), uid())
  end
  if not file and mode == "rb" then
    local reason = message:match(".*: (.*)")
    refuse(INPUT_MISSING, "%s: %s: run the stage that writes it", shown(path), reason)
  end
  if not file then
    refuse(TRY_AGAIN, "%s: check the disk, then try again", message)
  end
  file:setvbuf("full", BUFFER)
  return file
end

-- The result of a write or a close, unless that failed.
local function written(done, message, errno)
  if errno == ENOSPC or errno == EDQUOT then
    refuse(TRY_AGAIN, "the disk of the output is full: free some space")
  end
  return done or refuse(TRY_AGAIN, "%s: check the disk, then try again", message)
end

-- The fields of a row, quotes (RFC 4180) removed; nil and what is wrong where it is malformed.
local function fields_of(row)
  local fields, at = {}, 1
  repeat
    local stop, text = row:find("[,\"\r]", at) or #row + 1, nil
    if row:byte(at) == QUOTE then
      stop = at
      repeat
        stop = row:find('"', stop + 1, true)
        local doubled = stop and row:byte(stop + 1) == QUOTE
        stop = doubled and stop + 1 or stop
      until not doubled
      text = stop and row:sub(at + 1, stop - 1):gsub('""', '"')
      stop = stop and stop + 1
    end
    local mark = stop and row:sub(stop, stop)
    if mark ~= "," and mark ~= "" then
      return nil, mark == "\r" and "it has a carriage return: save it with line feeds"
        or "a quote is open, not doubled, or in a field that is not quoted: correct it"
    end
    fields[#fields + 1] = text or row:sub(at, stop - 1)
    at = stop + 1
  until mark == ""
  return fields
end

local function quotes(text)
  return text:find('"', 1, true) and select(2, text:gsub('"', "")) or 0
end

-- Iterates over a table's rows, header included, without their line ends. A line end in quotes
-- does not end a row.
local function rows_of(path)
  local file = open(path, "rb")
  return function()
    local row, message = file:read("l")
    if message then
      refuse(TRY_AGAIN, "%s: %s: check the disk, then try again", shown(path), message)
    end
    if row and quotes(row) % 2 == 1 then
      local lines = { row }
      for line in file:lines("l") do
        lines[#lines + 1] = line
        if quotes(line) % 2 == 1 or #lines == MAX_LINES then
          break
        end
      end
      row = table.concat(lines, "\n")
    end
    return row and row:byte(-1) == CARRIAGE_RETURN and row:sub(1, -2) or row
  end
end

-- The rows below the header, the number of columns, and the header without byte order mark.
local function open_table(path)
  local next_row = rows_of(path)
  local header = (next_row() or ""):gsub("^\u{FEFF}", "")
  if header == "" then
    refuse(BAD_DATA, "%s is empty: provide a header and rows", shown(path))
  end
  local names, fault = fields_of(header)
  if not names then
    refuse(BAD_DATA, "%s, header: %s", shown(path), fault)
  end
  if names[#names] ~= "target" then
    refuse(BAD_DATA, "%s: its last column is not target: run fit again", shown(path))
  end
  return next_row, #names, header
end

-- The label of a row, its last field; nil and what is wrong if it has not `width` whole fields.
local function label_of(row, width)
  if not utf8.len(row) or row:find("\0", 1, true) then
    return nil, "it is not UTF-8: save the file as UTF-8"
  end
  local label, count
  if row:find('["\r]') then
    local fields, fault = fields_of(row)
    if not fields then
      return nil, fault
    end
    label, count = fields[#fields], #fields
  else
    label, count = row:match(".*,(.*)") or row, #row:gsub("[^,]+", "") + 1
  end
  if count ~= width then
    return nil, ("it has %d fields, not %d: complete it"):format(count, width)
  end
  return label
end

-- Checks every row, and hands it on with its label; returns how many there are.
local function survey(path, each)
  local next_row, width = open_table(path)
  local total = 0
  for row in next_row do
    total = total + 1
    local label, fault = label_of(row, width)
    if not label then
      refuse(BAD_DATA, "%s, row %d: %s", shown(path), total, fault)
    end
    each(row, label)
  end
  if total == 0 then
    refuse(BAD_DATA, "%s has a header but no rows: provide rows", shown(path))
  end
  return total
end

-- A whole number that stands for a text: it takes less memory, and that two texts have the same one
-- is as likely as 1 in 2^64.
local function digest_of(text)
  local digest = #text
  text = text .. ("\0"):rep(-#text % WORD_BYTES)
  for at = 1, #text, WORD_BYTES do
    local words = { WORDS:unpack(text, at) }
    for i = 1, #words - 1 do
      digest = (digest ~ words[i]) * MULTIPLIER
      digest = digest ~ digest >> 32
    end
  end
  return digest
end

-- Rows that are the same but for their label are of one kind.
local function kind_of(row)
  return digest_of(row:match("^(.*),") or "")
end

-- Collects the kinds of rows: the class of the first row of each; how many there are, and of those
-- that have several rows, and how many pairs of a kind and a label.
local function new_kinds()
  local kinds = { class = {}, number = 0, several = 0, pairs = 0 }
  local first, again, other = {}, {}, {}
  function kinds.add(row, label, class)
    local kind, digest = kind_of(row), digest_of(label)
    if not first[kind] then
      first[kind], kinds.class[kind] = digest, class
      kinds.number, kinds.pairs = kinds.number + 1, kinds.pairs + 1
      return
    end
    kinds.several = kinds.several + (again[kind] and 0 or 1)
    again[kind] = true
    local pair = (kind ~ digest) * MULTIPLIER
    if digest ~= first[kind] and not other[pair] then
      other[pair], kinds.pairs = true, kinds.pairs + 1
    end
  end
  return kinds
end

-- Whether rows of one kind are others that look the same, not one that came again.
local function are_alike_by_chance(kinds, total)
  return kinds.number < FEW_KINDS
    or total > MANY_ROWS * kinds.number
    or kinds.pairs - kinds.number > MIXED * kinds.several
end

-- The days of preprocess.json, each with its number of rows; and whether targets are numbers.
local function read_days(path)
  local file = open(path, "rb")
  local text = file:read("a") or ""
  file:close()
  local spec, stop, fault = json.decode(text)
  if fault or text:find("%S", stop) then
    refuse(BAD_DATA, "%s is not JSON (%s): write it again", shown(path), fault or "more follows")
  end
  local days = type(spec) == "table" and spec.version == 1 and spec.days
  local known = type(days) == "table" and #days > 0
  for _, day in ipairs(known and days or {}) do
    known = known and type(day) == "table" and math.type(day.rows) == "integer"
  end
  if not known then
    refuse(BAD_DATA, "%s is not version 1 with days: write it again", shown(path))
  end
  return days, spec.task == "regression"
end

-- How many of `count` validate, one at least and not all; a half is rounded to the even number.
local function share(fraction, count)
  local low, rest = math.floor(fraction * count), fraction * count % 1
  local rounded = (rest > 0.5 or rest == 0.5 and low % 2 == 1) and low + 1 or low
  return math.max(0, math.min(math.max(rounded, 1), count - 1))
end

-- Returns a function that tells of a row's number if it validates: if it is of the newest days.
local function by_time(days, fraction)
  local last = 0
  for i = 1, #days - share(fraction, #days) do
    last = last + days[i].rows
  end
  return function(number)
    return number > last
  end
end

-- Likewise for a share of each class, at random, in one pass that keeps the order of the rows.
-- This is selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S.
local function by_class(counts, fraction, seed, class_of)
  local left, wanted = {}, {}
  for label, count in pairs(counts) do
    left[label], wanted[label] = count, share(fraction, count)
  end
  math.randomseed(seed)
  return function(_, row, width)
    local label = class_of(row, width)
    local chosen = math.random(left[label]) <= wanted[label]
    left[label] = left[label] - 1
    wanted[label] = wanted[label] - (chosen and 1 or 0)
    return chosen
  end
end

-- Likewise for whole kinds of rows, so that no model is measured on rows that it knows by heart. A
-- kind is of the class of its first row.
local function by_kind(kinds, fraction, seed)
  local counts, side = {}, kinds.class
  for _, class in pairs(kinds.class) do
    counts[class] = (counts[class] or 0) + 1
  end
  local choose = by_class(counts, fraction, seed, function(kind)
    return kinds.class[kind]
  end)
  return function(_, row)
    local kind = kind_of(row)
    if type(side[kind]) ~= "boolean" then -- it takes the place of the class, which is not asked again
      side[kind] = choose(nil, kind)
    end
    return side[kind]
  end
end

-- Likewise for the rows of a single day, of which `numbers` are the targets, or classes.
local function by_row(path, fraction, seed, numbers)
  local kinds, counts = new_kinds(), {}
  local function class_of(label)
    return numbers and "" or label
  end
  local total = survey(path, function(row, label)
    local class = class_of(label)
    counts[class] = (counts[class] or 0) + 1
    kinds.add(row, label, class)
  end)
  if are_alike_by_chance(kinds, total) then
    local choose = by_class(counts, fraction, seed, function(row, width)
      return class_of(label_of(row, width))
    end)
    return choose, total
  end
  return by_kind(kinds, fraction, seed), total
end

-- Checks every row; returns how many there are, and the label of all that do not validate; nil if
-- there are several.
local function survey_learned(path, validates)
  local number, first, several = 0, nil, false
  local total = survey(path, function(_, label)
    number = number + 1
    if not several and not validates(number) then
      first = first or label
      several = label ~= first
    end
  end)
  return total, not several and first or nil
end

-- Writes train.csv and val.csv; returns how many rows are in each.
local function part(path, validates)
  local next_row, width, header = open_table(path)
  local train, val = open(OUT .. "/train.csv", "wb"), open(OUT .. "/val.csv", "wb")
  local rows = { [train] = 0, [val] = 0 }
  for file in pairs(rows) do
    written(file:write(header, "\n"))
  end
  for row in next_row do
    local file = validates(rows[train] + rows[val] + 1, row, width) and val or train
    written(file:write(row, "\n"))
    rows[file] = rows[file] + 1
  end
  for file in pairs(rows) do
    written(file:close())
  end
  return rows[train], rows[val]
end

local function run_split(params)
  local path = IN .. "/processed/train_data.csv"
  local days, numbers = read_days(IN .. "/processed/preprocess.json")
  local fraction, seed = params["--val-fraction"], params["--seed"]
  local validates, total, only, by = nil, nil, nil, "time"
  if #days > 1 then
    validates = by_time(days, fraction)
    total, only = survey_learned(path, validates)
  else
    validates, total = by_row(path, fraction, seed, numbers)
    by = numbers and "row" or "class"
  end
  local expected = 0
  for _, day in ipairs(days) do
    expected = expected + day.rows
  end
  if total ~= expected then
    local sentence = "%s has %d rows, preprocess.json %d: run fit again"
    refuse(BAD_DATA, sentence, shown(path), total, expected)
  end
  if only and not numbers then
    local sentence = "%s: all rows to learn from are of class '%s', as the newest days validate: "
      .. "provide rows of another class on earlier days, or more days"
    refuse(BAD_DATA, sentence, shown(path), only)
  end
  local train, val = part(path, validates)
  if val == 0 then
    local few = numbers and "there is one row" or "no class has two rows"
    refuse(BAD_DATA, "%s: %s: provide more rows", shown(path), few)
  end
  local summary = '{\n  "train_rows": %d,\n  "val_rows": %d,\n  "by": "%s"\n}\n'
  local file = open(OUT .. "/summary.json", "wb")
  written(file:write(summary:format(train, val, by)))
  written(file:close())
end

-- The parameters of the command line; nil if help is what was asked for.
local function parse(words)
  local params = { ["--val-fraction"] = 0.2, ["--seed"] = 17 }
  local verb, at = nil, 1
  while words[at] do
    local name, value = words[at]:match("^(%-%-[^=]*)=(.*)")
    name = name or words[at]
    if name == "--help" or name == "-h" then
      return nil
    elseif params[name] and verb then
      at = at + (value and 0 or 1)
      value = value or words[at] or refuse(WRONG_USAGE, "%s wants a value: see --help", name)
      local number = value:match("^[%d.eE+-]+$") and tonumber(value)
      if name == "--seed" and not (math.type(number) == "integer" and number >= 0) then
        refuse(WRONG_USAGE, "--seed %s is not a whole number from 0 on: see --help", value)
      elseif name == "--val-fraction" and not (number and number >= 0.001 and number <= 0.999) then
        refuse(WRONG_USAGE, "--val-fraction %s is not between 0.001 and 0.999: see --help", value)
      end
      params[name] = number
    elseif verb or name ~= "split" then
      refuse(WRONG_USAGE, "unknown %s '%s': see --help", verb and "parameter" or "verb", name)
    else
      verb = name
    end
    at = at + 1
  end
  return verb and params or refuse(WRONG_USAGE, "the verb is missing: see --help")
end

local function main(words)
  local params = parse(words)
  if params then
    run_split(params)
  else
    print(HELP)
  end
end

local done, problem = pcall(main, arg)
if not done and problem == "not enough memory" then
  problem = { code = TRY_AGAIN, sentence = "memory ran out: give the stage more, or fewer rows" }
elseif not done and type(problem) ~= "table" then
  problem = { code = 1, sentence = problem }
end
if not done then
  io.stderr:write((problem.sentence:gsub("%s+", " ")), "\n")
end
os.exit(done and 0 or problem.code)
