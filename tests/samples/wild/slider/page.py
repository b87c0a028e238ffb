"""A slider, and what its callback on the server makes of it."""

from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Div, Slider

slider = Slider(start=0, end=10, value=1, title="Number")
answer = Div(text="1 squared is 1")


def changed(_attribute, _old, new):
    answer.text = f"{new} squared is {new * new}"


slider.on_change("value", changed)
curdoc().add_root(column(slider, answer))
curdoc().title = "Squares"
