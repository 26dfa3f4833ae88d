// The words of two texts side by side: what stayed, what went, what came.

const MOST = 4_000_000; // cells of the table; longer texts are shown as one change

const pieces = (text) => text.match(/\s+|[\p{L}\p{N}\p{M}'’_]+|[^\s\p{L}\p{N}\p{M}]/gu) ?? [];

/** ``[kind, text]`` pairs, kind "same", "del" or "ins"; neighbours of a kind are joined. */
export function compare(before, after) {
  const [a, b] = [pieces(before), pieces(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const steps = [
    ...a.slice(0, start).map((word) => ["same", word]),
    ...middle(left, right),
    ...a.slice(a.length - end).map((word) => ["same", word]),
  ];
  return join(steps);
}

function middle(a, b) {
  if (a.length * b.length > MOST) return [["del", a.join("")], ["ins", b.join("")]];
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      common[i * width + j] = a[i] === b[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  const steps = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) steps.push(["same", a[i]]), i += 1, j += 1;
    else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1]))
      steps.push(["del", a[i]]), i += 1;
    else steps.push(["ins", b[j]]), j += 1;
  }
  return steps;
}

function join(steps) {
  const joined = [];
  for (const [kind, text] of steps) {
    if (!text) continue;
    if (joined.at(-1)?.[0] === kind) joined.at(-1)[1] += text;
    else joined.push([kind, text]);
  }
  return joined;
}

/** Fill an element with the changes, as ``ins`` and ``del``. */
export function show(element, before, after) {
  element.replaceChildren(...compare(before, after).map(([kind, text]) => {
    if (kind === "same") return document.createTextNode(text);
    const part = document.createElement(kind);
    part.textContent = text;
    return part;
  }));
}
