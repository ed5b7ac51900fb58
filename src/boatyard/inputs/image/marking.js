// Marks on a picture that people put right: they draw, move, rename and remove. Streamlit calls this at each run of its
// script; what was done meanwhile stays. Names come from models and clients: they are set as text, never as HTML.

const SLIP = 5; // pixels of the screen that a click may move
const REACH = 16; // around a corner, so that a finger finds it
const NAMESPACE = "http://www.w3.org/2000/svg";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".marking");
  if (root.childElementCount) return;
  const { width, height, names } = data;
  const colours = colouring(data);
  const marks = [];
  let chosen = null;
  let name = names[0]; // of the next mark that is drawn
  let drag = null;

  const stage = shape("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application" });
  stage.setAttribute("aria-label", "The picture. Arrow keys move the chosen frame, with Shift they change its size.");
  const frames = shape("g");
  stage.append(shape("image", { href: data.picture, width, height }), frames);
  const rows = document.createElement("ol");
  const adding = button("Add a frame", () => change(add([0.375, 0.375, 0.625, 0.625].map(inPicture), name)));
  root.append(stage, rows, adding);

  for (const { name, score, ...edges } of data.marks) {
    add([edges.left, edges.top, edges.right, edges.bottom].map(inPicture), name, score);
  }
  new ResizeObserver(draw).observe(stage);

  function inPicture(share, at) {
    return share * (at % 2 ? height : width);
  }

  function add(box, name, score) {
    const mark = { box, name, score, removed: false };
    mark.row = row(mark);
    rows.append(mark.row);
    marks.push(mark);
    return mark;
  }

  function row(mark) {
    const element = document.createElement("li");
    const select = document.createElement("select");
    select.append(...names.map((each) => new Option(each, each, false, each === mark.name)));
    select.ariaLabel = "What it is";
    select.addEventListener("change", () => {
      mark.name = name = select.value;
      change(mark);
    });
    const score = document.createElement("span");
    score.textContent = mark.score === undefined ? "drawn" : `${Math.round(100 * mark.score)}%`;
    element.append(select, score, button("Remove", () => remove(mark)));
    for (const happens of ["click", "focusin"]) {
      element.addEventListener(happens, () => marks.includes(mark) && choose(mark));
    }
    return element;
  }

  /** One that the model has found can be put back. */
  function remove(mark) {
    mark.removed = !mark.removed;
    if (mark.score === undefined) {
      marks.splice(marks.indexOf(mark), 1);
      mark.row.remove();
    }
    change(mark.removed ? null : mark);
  }

  function choose(mark) {
    chosen = mark;
    draw();
  }

  /** Something was done to this mark, or to one that is gone. */
  function change(mark) {
    choose(mark);
    if (mark) rows.scrollTop = mark.row.offsetTop - rows.offsetTop - rows.clientHeight / 2;
    const share = ({ box, name }) => ({
      name,
      left: box[0] / width,
      top: box[1] / height,
      right: box[2] / width,
      bottom: box[3] / height,
    });
    setStateValue("marks", marks.filter((each) => !each.removed).map(share));
  }

  // ---- what is seen

  function draw() {
    const pixel = 1 / zoom(); // of the screen
    frames.replaceChildren(...marks.filter((mark) => mark !== chosen).map((mark) => frame(mark, pixel)));
    if (chosen) frames.append(frame(chosen, pixel), ...corners(chosen, pixel));
    for (const mark of marks) {
      mark.row.classList.toggle("chosen", mark === chosen);
      mark.row.classList.toggle("removed", mark.removed);
      mark.row.style.setProperty("--colour", colours.get(mark.name));
      mark.row.querySelector("button").textContent = mark.removed ? "Put back" : "Remove";
      mark.row.querySelector("select").disabled = mark.removed;
    }
  }

  function frame({ box: [left, top, right, bottom], name, removed }, pixel) {
    const group = shape("g", { class: removed ? "removed" : "", style: `--colour: ${colours.get(name)}` });
    group.append(shape("rect", { x: left, y: top, width: right - left, height: bottom - top }));
    const above = top > 20 * pixel ? top - 5 * pixel : top + 15 * pixel;
    const [x, anchor] = left > 0.7 * width ? [right - 2 * pixel, "end"] : [left + 2 * pixel, "start"];
    const text = shape("text", { x, y: above, "text-anchor": anchor, "font-size": 13 * pixel });
    text.textContent = removed ? "" : name;
    group.append(text);
    return group;
  }

  function corners({ box, name, removed }, pixel) {
    const at = [[0, 1], [2, 1], [0, 3], [2, 3]].map(([x, y]) => ({ cx: box[x], cy: box[y] }));
    const style = `--colour: ${colours.get(name)}`;
    return removed ? [] : at.map((place) => shape("circle", { ...place, r: 5 * pixel, style }));
  }

  function zoom() {
    return stage.getScreenCTM()?.a || 1;
  }

  // ---- a mouse, a pen or a finger

  stage.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    stage.setPointerCapture(event.pointerId);
    const from = place(event);
    drag = { from, moved: false, mark: null, ...grab(from) };
  });

  stage.addEventListener("pointermove", (event) => {
    if (!drag || !event.isPrimary) return;
    const to = place(event);
    drag.moved ||= Math.hypot(to.x - drag.from.x, to.y - drag.from.y) * zoom() > SLIP;
    if (!drag.moved) return;
    drag.mark ??= add([0, 0, 0, 0], name);
    drag.mark.box = drag.box(to);
    choose(drag.mark);
  });

  stage.addEventListener("pointerup", (event) => {
    if (!drag || !event.isPrimary) return;
    if (drag.moved) change(drag.mark);
    else choose(smallest(drag.from));
    drag = null;
  });

  stage.addEventListener("pointercancel", () => {
    drag = null;
  });

  /** What a drag from here does: it draws a new mark, unless it begins at the chosen one. */
  function grab(from) {
    const drawn = { box: (to) => between(from, to) };
    if (!chosen || chosen.removed) return drawn;
    const { box } = chosen;
    const [left, top, right, bottom] = box;
    const moved = { mark: chosen, box: (to) => shifted(box, to.x - from.x, to.y - from.y) };
    const middle = [0, 1].map((axis) => (from[axis ? "y" : "x"] - box[axis]) / (box[axis + 2] - box[axis]));
    if (middle.every((share) => share > 0.25 && share < 0.75)) return moved; // however near a small one's corners are
    for (const [x, y, otherX, otherY] of [
      [left, top, right, bottom],
      [right, top, left, bottom],
      [left, bottom, right, top],
      [right, bottom, left, top],
    ]) {
      if (Math.hypot(from.x - x, from.y - y) * zoom() <= REACH) {
        return { mark: chosen, box: (to) => between({ x: otherX, y: otherY }, to) };
      }
    }
    return holds(chosen, from) ? moved : drawn;
  }

  function smallest(at) {
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const there = marks.filter((mark) => holds(mark, at)).sort((one, other) => area(one) - area(other));
    return there[0] ?? null;
  }

  function holds({ box }, { x, y }) {
    return x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
  }

  /** In the picture's own units, and within it. */
  function place(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(stage.getScreenCTM().inverse());
    return { x: clamped(x, width), y: clamped(y, height) };
  }

  /** At least a pixel wide and high: what has no area marks nothing. */
  function between(one, other) {
    const left = Math.min(one.x, other.x, width - 1);
    const top = Math.min(one.y, other.y, height - 1);
    return [left, top, Math.max(one.x, other.x, left + 1), Math.max(one.y, other.y, top + 1)];
  }

  function shifted([left, top, right, bottom], x, y) {
    const [wide, high] = [right - left, bottom - top];
    const [toLeft, toTop] = [clamped(left + x, width - wide), clamped(top + y, height - high)];
    return [toLeft, toTop, toLeft + wide, toTop + high];
  }

  // ---- a keyboard

  stage.addEventListener("keydown", (event) => {
    if (!chosen || chosen.removed) return;
    const step = Math.max(width, height) / 100;
    if (event.key in ARROWS) {
      const [x, y] = ARROWS[event.key].map((way) => way * step);
      const [left, top, right, bottom] = chosen.box;
      const to = { x: clamped(right + x, width), y: clamped(bottom + y, height) };
      chosen.box = event.shiftKey ? between({ x: left, y: top }, to) : shifted(chosen.box, x, y);
      change(chosen);
    } else if (["Delete", "Backspace"].includes(event.key)) {
      remove(chosen);
    } else {
      return;
    }
    event.preventDefault();
  });
}

/** One for each name, those of the answer in its order as the page draws them elsewhere. */
function colouring({ marks, names, colours }) {
  const ordered = new Set([...marks.map((mark) => mark.name), ...names]);
  return new Map([...ordered].map((name, at) => [name, colours[at % colours.length]]));
}

function shape(tag, attributes = {}) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function button(says, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = says;
  element.addEventListener("click", (event) => {
    event.stopPropagation();
    act();
  });
  return element;
}

function clamped(value, most) {
  return Math.min(Math.max(value, 0), most);
}
