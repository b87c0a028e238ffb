"""What the visitors of another app on the host have noticed of all that the other tests did."""


def test_the_neighbour_has_answered_all_its_requests(crowd, diary):
    crowd.leave()
    for kind, *moment in crowd.lost():
        during = [name for at, name in diary if moment and at <= moment[0]]
        print(kind, *moment, "during", *during[-1:])
    # It was asked all the time, and has not waited for anybody else.
    assert sum(kind["answered"] for kind in crowd.report["kinds"].values()) > 500
    assert crowd.lost() == []
